//! What busybox, as an init, is told to start: inittab(5), as its own documentation has it (examples/inittab of busybox).

use std::io;

use banger_layers::tree::{Node, Tree};

use crate::boot_mode::Read;
use crate::follow::is_program;

const FILE: &str = "/etc/inittab";
/// What it starts where there is no such file.
const SCRIPT: &str = "/etc/init.d/rcS";
/// Bytes of the file that are looked at.
const LIMIT: usize = 64 << 10;
/// What is started at boot. A login on a terminal is no purpose.
const ACTIONS: [&str; 3] = ["sysinit", "wait", "once"];
/// Where programs without a slash are looked for.
const DIRECTORIES: [&str; 4] = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];

/// Whether busybox would start nothing at boot; then why, in words.
pub(crate) fn starts_nothing(tree: &Tree, read: Read<'_>) -> io::Result<Option<String>> {
    let Some(Node::File { size, layer, content }) =
        tree.lookup(FILE.as_bytes()).ok().map(|found| tree.inode(found).node)
    else {
        let script = is_program(tree, SCRIPT.as_bytes());
        return Ok((!script).then(|| format!("there is neither {FILE} nor {SCRIPT}")));
    };
    // A file of no bytes has no content.
    let text = if size == 0 { Vec::new() } else { read(layer, content, LIMIT)? };
    let text = String::from_utf8_lossy(&text);
    let mut programs = text.lines().filter_map(program).peekable();
    let Some(&first) = programs.peek() else { return Ok(Some(format!("{FILE} wants nothing"))) };
    let is_there = |name: &str| match name.starts_with('/') {
        true => is_program(tree, name.as_bytes()),
        false => DIRECTORIES.iter().any(|directory| is_program(tree, format!("{directory}/{name}").as_bytes())),
    };
    Ok((!programs.any(is_there)).then(|| format!("{FILE} wants {}, which is not there", first.escape_default())))
}

/// The program that a line has started at boot: `ID:RUNLEVELS:ACTION:COMMAND`.
fn program(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let mut fields = line.splitn(4, ':').skip(2);
    let (action, command) = (fields.next()?, fields.next()?);
    // A dash asks for a login shell.
    let wanted = !line.starts_with('#') && ACTIONS.contains(&action.trim());
    command.split_whitespace().next().map(|name| name.trim_start_matches('-')).filter(|name| wanted && !name.is_empty())
}
