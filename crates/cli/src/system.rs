//! `banger df`, `banger prune`, `banger info`.

use banger_api::Service;
use banger_api::system::{Info, Part, PruneRequest, Pruned, PrunedItem, UsagePart};

use crate::args::{Df, Prune};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::image::facts;
use crate::output::{json, print, print_each, say};
use crate::password;
use crate::table::Table;
use crate::text::{Bytes, Count, Line, Moment};

pub(crate) fn df(df: &Df, service: &dyn Service) -> Result<(), Failure> {
    let usage = service.system_df()?;
    if df.json { print_each(&usage.parts) } else { used(&usage.parts).print(false) }
}

fn used(parts: &[UsagePart]) -> Table<4> {
    let mut table = Table::new(["what", ">count", ">size", ">reclaimable"]);
    let cells = |name: &str, count, size, free| {
        [name.to_owned(), Count(count).to_string(), Bytes(size).to_string(), Bytes(free).to_string()]
    };
    let (mut count, mut size, mut free) = (0u64, 0u64, 0u64);
    for part in parts {
        table.row(cells(name(part.part), part.count, part.size, part.reclaimable));
        count = count.saturating_add(part.count);
        size = size.saturating_add(part.size);
        free = free.saturating_add(part.reclaimable);
    }
    table.row(cells("all", count, size, free));
    table
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Images => "images",
        Part::Kernels => "kernels",
        Part::Layers => "layers",
        Part::Downloads => "downloads",
        Part::Machines => "machines",
        Part::Leftovers => "leftovers",
    }
}

pub(crate) fn prune(prune: &Prune, service: &dyn Service) -> Result<(), Failure> {
    let request = |dry_run| PruneRequest { dry_run, all: prune.all };
    let is_asked = !prune.dry_run && !prune.yes;
    let is_attended = !prune.json && password::is_attended();
    if is_asked && prune.all && !is_attended {
        let what = "`prune --all` removes the whole cache and every machine that has ended, and there is no terminal to ask on";
        return Err(Failure::new(Exit::Usage, what)
            .hint("`banger prune --all --yes` does not ask; --dry-run shows what would go"));
    }
    if is_asked && is_attended {
        let would = service.system_prune(&request(true))?;
        let is_harmless = would.items.iter().all(|item| item.part == Part::Leftovers);
        if !is_harmless && !is_wanted(&would)? {
            say("nothing was removed");
            return Ok(());
        }
    }
    let pruned = service.system_prune(&request(prune.dry_run))?;
    if prune.json {
        return print(&json(&pruned)?);
    }
    if prune.dry_run {
        items(&pruned);
    }
    if pruned.items.is_empty() {
        say("there is nothing to remove");
        return Ok(());
    }
    let (removes, free) =
        if prune.dry_run { ("would remove", "would become free") } else { ("removed", "became free") };
    say(&format!("{removes} {}; {} {free}", amounts(&pruned), Bytes(pruned.freed)));
    Ok(())
}

/// Shows what would go, and asks.
fn is_wanted(would: &Pruned) -> Result<bool, Failure> {
    items(would);
    let question = format!("Remove all this? {} would become free. [y/N] ", Bytes(would.freed));
    password::confirm(&question)
}

fn items(pruned: &Pruned) {
    for item in &pruned.items {
        say(&line(item));
    }
}

/// What one thing is: its name, the image that it belongs to, its date, its size.
fn line(item: &PrunedItem) -> String {
    let mut parts = vec![Line(&item.name).to_string()];
    parts.extend(item.image.as_ref().filter(|image| **image != item.name).map(|image| Line(image).to_string()));
    parts.extend(item.date.as_deref().map(|date| Moment(date).to_string()));
    parts.push(Bytes(item.size).to_string());
    format!("{}: {}", one_or_many(item.part, 1), parts.join(", "))
}

/// How many of what.
fn amounts(pruned: &Pruned) -> String {
    let mut parts: Vec<(Part, u64)> = Vec::new();
    for item in &pruned.items {
        match parts.iter_mut().find(|(part, _)| *part == item.part) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => parts.push((item.part, 1)),
        }
    }
    parts.sort_by_key(|(part, _)| *part);
    let words: Vec<_> =
        parts.iter().map(|(part, count)| format!("{} {}", Count(*count), one_or_many(*part, *count))).collect();
    words.join(", ")
}

fn one_or_many(part: Part, count: u64) -> &'static str {
    let many = name(part);
    if count == 1 { many.strip_suffix('s').unwrap_or(many) } else { many }
}

pub(crate) fn info(as_json: bool, service: &dyn Service) -> Result<(), Failure> {
    let info = service.system_info()?;
    if as_json { print(&json(&info)?) } else { print(&text(&info)) }
}

fn text(info: &Info) -> String {
    let daemon = info.pid.map_or_else(|| "none: this process".to_owned(), |pid| format!("process {pid}"));
    facts(&[
        ("version", Some(info.version.clone())),
        ("daemon", Some(daemon)),
        ("api", Some(info.api.to_string())),
        ("architecture", Some(info.architecture.clone())),
        ("root", Some(info.root.display().to_string())),
        ("cache", Some(info.cache.display().to_string())),
        ("images", Some(Count(info.images).to_string())),
        ("kernels", Some(Count(info.kernels).to_string())),
        ("jobs", Some(Count(info.jobs).to_string())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_summed_up() {
        let part = |part, count, size, reclaimable| UsagePart { part, count, size, reclaimable };
        assert_eq!(
            used(&[part(Part::Images, 2, 3 << 20, 0), part(Part::Layers, 1000, 1 << 20, 1 << 20)]).to_string(),
            "what    count     size  reclaimable\n\
             images      2  3.0 MiB          0 B\n\
             layers  1,000  1.0 MiB      1.0 MiB\n\
             all     1,002  4.0 MiB      1.0 MiB\n"
        );
    }

    #[test]
    fn what_goes_is_counted_by_what_it_is() {
        let item = |part| PrunedItem { part, name: "x".to_owned(), image: None, date: None, size: 1 };
        for (items, expected) in [
            (vec![item(Part::Layers)], "1 layer"),
            (
                vec![item(Part::Leftovers), item(Part::Layers), item(Part::Leftovers), item(Part::Machines)],
                "1 layer, 1 machine, 2 leftovers",
            ),
        ] {
            assert_eq!(amounts(&Pruned { items, freed: 0 }), expected);
        }
    }

    #[test]
    fn what_goes_is_told_with_image_and_date() {
        let item = |image: Option<&str>, date: Option<&str>| PrunedItem {
            part: Part::Machines,
            name: "0123456789ab".to_owned(),
            image: image.map(str::to_owned),
            date: date.map(str::to_owned),
            size: 2048,
        };
        for (item, expected) in [
            (item(Some("web"), Some("2026-11-21T10:00:42Z")), "machine: 0123456789ab, web, 2026-11-21 10:00, 2.0 KiB"),
            (item(None, None), "machine: 0123456789ab, 2.0 KiB"),
            (item(Some("0123456789ab"), None), "machine: 0123456789ab, 2.0 KiB"),
        ] {
            assert_eq!(line(&item), expected);
        }
    }
}
