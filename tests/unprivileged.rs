//! No privilege is needed: nobody's image is root's, to the byte.

use crate::args;
use crate::judges;
use crate::support::image::{assert_same, build};
use crate::support::judge::ask;
use crate::support::nobody::{self, NOBODY, open_to_all};
use crate::support::program::source;
use crate::support::{Corpus, Run};

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
    Run::of(nobody::command().args(args![program, "build", source("oci", &layout), "-o", by_nobody])).ok();
    assert_same(&by_root, &by_nobody);
    let owner = ask("stat", args!["-c", "%u", by_nobody]).ok().stdout();
    assert_eq!(owner.trim(), NOBODY, "the image itself belongs to who made it");
}
