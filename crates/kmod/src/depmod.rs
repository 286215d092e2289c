//! Which module needs which, and by which names they are asked for: the files that depmod(8) makes, with the same content.
//!
//! A line of `modules.dep` has all that a module needs, also by way of others. Whoever loads it goes from the last to the first, so a
//! module stands before those that it needs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::modinfo::{Info, normal};
use crate::trie::Index;
use crate::walk::{module_name, rank};

/// One module.
#[derive(Debug)]
pub(crate) struct Module {
    /// Below the directory of modules.
    path: Vec<u8>,
    name: String,
    info: Info,
}

impl Module {
    pub(crate) fn new(path: &[u8], info: Info) -> Self {
        Self { path: path.to_owned(), name: module_name(path), info }
    }

    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }
}

/// All files, by name. `order`, `builtin` and `builtin_info` are what `modules.order`, `modules.builtin` and `modules.builtin.modinfo` hold,
/// which come with the kernel.
pub(crate) fn indexes(
    modules: Vec<Module>,
    order: &[u8],
    builtin: &[u8],
    builtin_info: &[u8],
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let modules = sorted(modules, order);
    let (dep, dep_bin) = dependencies(&modules)?;
    let (alias, alias_bin) = aliases(&modules)?;
    Ok(vec![
        ("modules.alias", alias),
        ("modules.alias.bin", alias_bin),
        ("modules.builtin.alias.bin", builtin_aliases(builtin_info)?),
        ("modules.builtin.bin", builtin_names(builtin)?),
        ("modules.dep", dep),
        ("modules.dep.bin", dep_bin),
        ("modules.devname", devices(&modules)),
        ("modules.softdep", soft_dependencies(&modules)),
    ])
}

/// One module of each name, in the kernel's order: of several that would do the first is taken.
fn sorted(mut modules: Vec<Module>, order: &[u8]) -> Vec<Module> {
    let lines = order.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let places: HashMap<&[u8], usize> = lines.zip(0..).collect();
    // The list names modules as they were before they were compressed.
    let place = |module: &Module| {
        let ko = module.path.windows(4).rposition(|part| part == b".ko.").map(|dot| dot.saturating_add(3));
        let path = ko.and_then(|end| module.path.get(..end)).unwrap_or(&module.path);
        places.get(path).copied().unwrap_or(usize::MAX)
    };
    modules.sort_by_cached_key(|module| (rank(module.path()), place(module), module.path.clone()));
    let mut names = BTreeSet::new();
    modules.retain(|module| names.insert(module.name.clone()));
    modules
}

fn dependencies(modules: &[Module]) -> Result<(Vec<u8>, Vec<u8>)> {
    let numbers: HashMap<&str, usize> = modules.iter().map(|module| module.name.as_str()).zip(0..).collect();
    // What is named but not there is left out, as depmod does: the kernel will say which symbol is missing.
    let needs: Vec<Vec<usize>> = modules
        .iter()
        .map(|module| {
            let names = module.info.depends().unwrap_or_default();
            names.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect()
        })
        .collect();
    let ranks = ranks(modules, &needs)?;
    let (mut text, mut index) = (Vec::new(), Index::default());
    for ((number, module), priority) in modules.iter().enumerate().zip(0..) {
        let mut all = BTreeSet::new();
        let mut ahead = vec![number];
        while let Some(needed) = ahead.pop().and_then(|number| needs.get(number)) {
            ahead.extend(needed.iter().filter(|number| all.insert(**number)));
        }
        let mut all: Vec<usize> = all.into_iter().collect();
        all.sort_by_key(|number| std::cmp::Reverse(ranks.get(*number).copied()));
        let mut line = [&module.path[..], b":"].concat();
        for needed in all.iter().filter_map(|number| modules.get(*number)) {
            line.push(b' ');
            line.extend_from_slice(&needed.path);
        }
        index.insert(&module.name, &line, priority);
        text.extend_from_slice(&line);
        text.push(b'\n');
    }
    Ok((text, index.encode("modules.dep.bin")?))
}

/// Of each module a number that is greater than those of all it needs.
fn ranks(modules: &[Module], needs: &[Vec<usize>]) -> Result<Vec<usize>> {
    let mut needed_by = vec![Vec::new(); modules.len()];
    let mut open: Vec<usize> = Vec::with_capacity(modules.len());
    for (number, needs) in needs.iter().enumerate() {
        open.push(needs.len());
        for needed in needs {
            if let Some(list) = needed_by.get_mut(*needed) {
                list.push(number);
            }
        }
    }
    let mut ranks = vec![0; modules.len()];
    let mut ready: Vec<usize> = (0..modules.len()).filter(|number| open.get(*number) == Some(&0)).collect();
    let mut next = 0;
    while let Some(number) = ready.get(next).copied() {
        next = next.saturating_add(1);
        if let Some(rank) = ranks.get_mut(number) {
            *rank = next;
        }
        for dependant in needed_by.get(number).into_iter().flatten() {
            if let Some(count) = open.get_mut(*dependant) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(*dependant);
                }
            }
        }
    }
    let stuck = modules.iter().zip(&open).find(|(_, open)| **open > 0);
    match stuck {
        Some((module, _)) => Err(Error::needs(module.path(), "a module that needs it")),
        None => Ok(ranks),
    }
}

fn aliases(modules: &[Module]) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut text = b"# Aliases extracted from modules themselves.\n".to_vec();
    let mut index = Index::default();
    for (module, priority) in modules.iter().zip(0..) {
        for alias in module.info.all("alias") {
            text.extend_from_slice(format!("alias {alias} {}\n", module.name).as_bytes());
            if let Some(alias) = normal_alias(alias) {
                index.insert(&alias, module.name.as_bytes(), priority);
            }
        }
    }
    Ok((text, index.encode("modules.alias.bin")?))
}

/// An alias as it is looked up: outside of brackets `-` and `_` are the same. `None` if brackets do not match.
fn normal_alias(alias: &str) -> Option<String> {
    let mut inside = false;
    let mut normal = String::with_capacity(alias.len());
    for c in alias.chars() {
        match c {
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            _ => {}
        }
        normal.push(if c == '-' && !inside { '_' } else { c });
    }
    (!inside).then_some(normal)
}

fn builtin_names(builtin: &[u8]) -> Result<Vec<u8>> {
    let mut index = Index::default();
    for line in builtin.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        index.insert(&module_name(line), b"", 0);
    }
    index.encode("modules.builtin.bin")
}

/// What is compiled in says the same of itself as modules do, each key with the name before it: `ext4.alias=fs-ext4`.
fn builtin_aliases(builtin_info: &[u8]) -> Result<Vec<u8>> {
    let mut index = Index::default();
    for (key, value) in Info::parse(builtin_info).fields {
        if let Some(name) = key.strip_suffix(".alias")
            && let Some(alias) = normal_alias(&value)
        {
            index.insert(&alias, normal(name).as_bytes(), 0);
        }
    }
    index.encode("modules.builtin.alias.bin")
}

/// Devices that are made before their module is loaded, by opening them.
fn devices(modules: &[Module]) -> Vec<u8> {
    let mut lines = BTreeMap::new();
    for (module, priority) in modules.iter().zip(0u32..) {
        let aliases = || module.info.all("alias");
        let device = aliases().find_map(|alias| alias.strip_prefix("devname:"));
        let number = aliases().find_map(|alias| {
            let (kind, rest) = ["char", "block"]
                .into_iter()
                .find_map(|kind| Some((kind, alias.strip_prefix(kind)?.strip_prefix("-major-")?)))?;
            let (major, minor) = rest.split_once('-')?;
            Some((kind.get(..1)?, major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
        });
        if let (Some(device), Some((kind, major, minor))) = (device, number) {
            lines.insert(priority, format!("{} {device} {kind}{major}:{minor}\n", module.name));
        }
    }
    let mut text = "# Device nodes to trigger on-demand module loading.\n".to_owned();
    text.extend(lines.into_values());
    text.into_bytes()
}

fn soft_dependencies(modules: &[Module]) -> Vec<u8> {
    let mut text = "# Soft dependencies extracted from modules themselves.\n".to_owned();
    for module in modules {
        for needed in module.info.all("softdep") {
            text.push_str(&format!("softdep {} {needed}\n", module.name));
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, depends: &str) -> Module {
        Module::new(path.as_bytes(), Info::parse(format!("depends={depends}\0").as_bytes()))
    }

    fn dep(modules: Vec<Module>, order: &str) -> Result<String> {
        let files = indexes(modules, order.as_bytes(), b"", b"")?;
        let (_, dep) = files.into_iter().find(|(name, _)| *name == "modules.dep").unwrap();
        Ok(String::from_utf8(dep).unwrap())
    }

    #[test]
    fn a_module_stands_before_what_it_needs() {
        let modules = vec![
            module("k/a.ko.xz", "b,c-d"),
            module("k/b.ko.xz", "c_d,not-there"),
            module("k/c-d.ko.xz", ""),
            module("k/z.ko.xz", ""),
        ];
        let dep = dep(modules, "k/z.ko\nk/a.ko\n").unwrap();
        assert_eq!(dep, "k/z.ko.xz:\nk/a.ko.xz: k/b.ko.xz k/c-d.ko.xz\nk/b.ko.xz: k/c-d.ko.xz\nk/c-d.ko.xz:\n");
    }

    #[test]
    fn updates_take_the_place_of_the_kernels_own() {
        let modules = vec![module("kernel/a.ko", ""), module("kernel/b.ko", "a"), module("updates/a.ko", "")];
        let dep = dep(modules, "kernel/a.ko\nkernel/b.ko\n").unwrap();
        assert_eq!(dep, "updates/a.ko:\nkernel/b.ko: updates/a.ko\n");
    }

    #[test]
    fn what_distributions_add_is_sought_in_the_same_order() {
        let modules = ["kernel/a.ko", "weak-updates/a.ko", "kernel/extra/a.ko", "extra/a.ko"];
        let dep = dep(modules.map(|path| module(path, "")).into(), "kernel/a.ko\n").unwrap();
        assert_eq!(dep, "extra/a.ko:\n");
    }

    #[test]
    fn circles_are_errors() {
        for modules in [vec![module("a.ko", "b"), module("b.ko", "a")], vec![module("a.ko", "a")]] {
            assert!(dep(modules, "").unwrap_err().to_string().contains("a.ko cannot be loaded: it needs a module"));
        }
    }

    #[test]
    fn aliases_are_normal_outside_of_brackets() {
        for (alias, normal) in
            [("fs-ext4", Some("fs_ext4")), ("pci:v[0-9]*d-x", Some("pci:v[0-9]*d_x")), ("a]", None), ("a[", None)]
        {
            assert_eq!(normal_alias(alias).as_deref(), normal);
        }
    }
}
