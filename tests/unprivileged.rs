//! No privilege is needed: nobody's image is root's, to the byte.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::args;
use crate::judges;
use crate::support::image::{assert_same, build};
use crate::support::judge::ask;
use crate::support::program::source;
use crate::support::{Corpus, Run};

/// A user and a group without any rights.
const NOBODY: &str = "65534";

#[test]
fn nobody_builds_what_root_builds() {
    judges!("root", "setpriv");
    // Owners, setuid bits, capabilities and devices: debian-edit has them all, and `corpus` shows that they are right.
    let Some(corpus) = Corpus::get("debian-edit") else { return };
    // Where the build is may be closed to others.
    let scratch = tempfile::tempdir().unwrap();
    open_to_all(scratch.path());
    let [layout, program, by_root, by_nobody] =
        ["layout", "banger", "by-root", "nobody/image"].map(|name| scratch.path().join(name));
    ask("cp", args!["-r", corpus.layout, layout]).ok();
    ask("chmod", args!["-R", "a+rX", layout]).ok();
    std::fs::copy(env!("CARGO_BIN_EXE_banger"), &program).unwrap();
    open_to_all(&program);
    std::fs::create_dir(by_nobody.parent().unwrap()).unwrap();
    ask("chown", args![NOBODY, by_nobody.parent().unwrap()]).ok();

    build(source("oci", &layout), &by_root, []);
    let mut nobody = Command::new("setpriv");
    nobody.args([
        "--reuid",
        NOBODY,
        "--regid",
        NOBODY,
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--",
    ]);
    nobody.args(args![program, "build", source("oci", &layout), "-o", by_nobody]);
    Run::of(&mut nobody).ok();
    assert_same(&by_root, &by_nobody);
    let owner = ask("stat", args!["-c", "%u", by_nobody]).ok().stdout();
    assert_eq!(owner.trim(), NOBODY, "the image itself belongs to who made it");
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
