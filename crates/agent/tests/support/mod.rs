//! What these tests share: whether those who judge are here.

use std::process::Command;

/// Whether these tests can run: as root, with others' programs. Where judges are required, their absence is a failure.
pub(crate) fn judges(programs: &[&str]) -> bool {
    let here = |name: &str| {
        let script = format!("PATH=$PATH:/usr/sbin:/sbin command -v {name}");
        Command::new("sh").args(["-c", &script]).output().is_ok_and(|output| output.status.success())
    };
    let mut missing: Vec<&str> = programs.iter().copied().filter(|name| !here(name)).collect();
    if !rustix::process::geteuid().is_root() {
        missing.push("root");
    }
    if missing.is_empty() {
        return true;
    }
    let wanted = std::env::var_os("BANGER_JUDGES").is_some_and(|value| value == "required");
    assert!(!wanted && std::env::var_os("CI").is_none(), "this needs {missing:?}, and judges are required here");
    eprintln!("SKIPPED a test of the agent: needs {missing:?}");
    false
}
