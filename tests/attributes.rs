//! ACLs, labels and other attributes, as archivers write them.

use std::path::Path;

use crate::args;
use crate::judges;
use crate::support::image::plain;
use crate::support::judge::{ask, e2fsck};
use crate::support::mount::Mount;
use crate::support::program::{banger, source};
use crate::support::{Tar, scratch};

/// What `getfacl` says of everything in a tree, with numbers for names.
fn acls(tree: &Path) -> String {
    let said = ask(
        "bash",
        args![
            "-c",
            "cd \"$1\" && find . -path ./lost+found -prune -o -print0 | sort -z | xargs -0 getfacl -n",
            "-",
            tree
        ],
    );
    said.ok().stdout()
}

/// What other archivers make of ACLs that the kernel has is made to ACLs that the kernel has again. The names in the text
/// are the host's; their numbers are those of the image's own users and groups.
#[test]
fn acls_that_archivers_write_come_back() {
    judges!("root", "tar", "bsdtar", "setfacl", "getfacl", "e2fsck", "bash", "find", "sort", "xargs");
    let scratch = scratch();
    let tree = Mount::tmpfs(&scratch.path().join("tree"), 16 << 20);
    let root = tree.path();
    std::fs::create_dir(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\ndaemon:x:2001:2001::/:\n").unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\ngames:x:3005:\n").unwrap();
    std::fs::create_dir(root.join("srv")).unwrap();
    for file in ["srv/file", "srv/masked", "srv/plain"] {
        std::fs::write(root.join(file), file).unwrap();
    }
    let set = |options: &[&str], file: &str| {
        let file = root.join(file);
        ask("setfacl", options.iter().map(std::ffi::OsStr::new).chain([file.as_os_str()])).ok();
    };
    let setup = |user: &str, group: &str| {
        for file in ["srv", "srv/file", "srv/masked", "srv/plain"] {
            set(&["-b"], file);
        }
        ask("chmod", args!["0640", root.join("srv/plain"), root.join("srv/file"), root.join("srv/masked")]).ok();
        ask("chmod", args!["2750", root.join("srv")]).ok();
        let both = format!("u:{user}:rwx,g:{group}:r-x,u:54321:r--");
        set(&["-m", &both], "srv");
        set(&["-d", "-m", &format!("u:{user}:rwx,g:{group}:---,o::---")], "srv");
        set(&["-m", &format!("u:{user}:rw-,g:{group}:r--")], "srv/file");
        set(&["-m", &format!("u:{user}:rwx,g:{group}:rwx,m::r--")], "srv/masked");
    };
    setup("daemon", "games");
    let archive = |name: &str, program: &str, options: &[&str]| {
        let file = scratch.path().join(name);
        let options = options.iter().map(std::ffi::OsString::from);
        ask(program, options.chain(args!["-cf", file, "-C", root, "."])).ok();
        file
    };
    let archives = [
        (archive("gnu.tar", "tar", &["--acls"]), true),
        (archive("gnu-xattrs.tar", "tar", &["--acls", "--xattrs", "--xattrs-include=*"]), true),
        (archive("bsd.tar", "bsdtar", &["--acls", "--format", "pax"]), true),
        // Without --acls there are none, and the mode's group bits are what the mask was: that is all tar says.
        (archive("none.tar", "tar", &[]), false),
    ];
    let host = acls(root);
    setup("2001", "3005");
    let image = acls(root);
    for (archive, has_acls) in archives {
        let name = archive.file_stem().unwrap().to_str().unwrap().to_owned();
        let out = scratch.path().join(format!("{name}.ext4"));
        let said = banger(args!["build", source("tar", &archive), "-o", out, "--no-sync", "--guest", "none"]).ok();
        assert!(!said.stderr().contains("left out"), "{said}");
        e2fsck(&out, &[]);
        let mount = Mount::image(&out, "ro");
        let found = acls(mount.path());
        mount.unmount();
        assert_eq!(found.contains("default:"), has_acls, "{name}: {found}");
        if has_acls {
            // Attributes have numbers, those of the host, and count before the text.
            let expected = if name == "gnu-xattrs" { &host } else { &image };
            assert_eq!(&found, expected, "{name}");
        }
    }
    tree.unmount();
}

/// A PAX header with these records, as the member before the one that it is about.
fn pax(tar: Tar, records: &[(&str, &str)]) -> Tar {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        // The length counts its own digits.
        let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
        data.extend_from_slice(format!("{length}{rest}").as_bytes());
    }
    tar.entry("PaxHeaders/0", b'x', 0o644, "", &data)
}

#[test]
fn what_an_image_cannot_have_is_said_once() {
    judges!("root", "e2fsck", "getfattr", "getfacl");
    let acl = "user::rwx,user:lisa:rwx,group::r-x,mask::rwx,other::---";
    let mut tar = Tar::new().directory("srv/", 0o755);
    for file in ["srv/a", "srv/b"] {
        let records = [
            ("SCHILY.fflags", "nodump"),
            ("LIBARCHIVE.xattr.com.apple.provenance", "AQ"),
            ("SCHILY.acl.access", acl),
            ("RHT.security.selinux", "system_u:object_r:var_t:s0"),
        ];
        tar = pax(tar, &records).entry(file, b'0', 0o670, "", b"x");
    }
    tar = pax(tar, &[("SCHILY.acl.access", "user::rw-,nonsense")]).entry("srv/c", b'0', 0o674, "", b"x");
    // BSD's old tar: a directory that only its slash tells.
    tar = tar.entry("old/", b'0', 0o750, "", b"").file("old/file", b"old");
    let scratch = scratch();
    let archive = scratch.path().join("root.tar");
    std::fs::write(&archive, tar.finish()).unwrap();
    let image = scratch.path().join("image");
    let run = banger(args!["build", source("tar", &archive), "-o", image, "--no-sync", "--guest", "none"]).ok();
    let said = run.stderr();
    let left_out: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once("left out of ")?.1)).collect();
    assert_eq!(
        left_out,
        [
            "2 files, the first is \"srv/a\": file flags (SCHILY.fflags)",
            "2 files, the first is \"srv/a\": extended attributes that an image cannot have (com.apple.provenance)",
            "\"srv/c\": ACLs that cannot be read, with the rights of the owning group (nonsense)",
            "2 files, the first is \"srv/a\": ACL entries for users or groups that the image does not have (user:lisa)",
        ],
        "{run}"
    );
    e2fsck(&image, &[]);
    let mount = Mount::image(&image, "ro");
    let facl = ask("getfacl", args!["-n", "-p", "-c", mount.path().join("srv/a")]).ok().stdout();
    assert_eq!(facl.trim(), "user::rwx\ngroup::r-x\nmask::rwx\nother::---");
    let label =
        ask("getfattr", args!["--only-values", "-n", "security.selinux", mount.path().join("srv/b")]).ok().stdout();
    assert_eq!(label, "system_u:object_r:var_t:s0\0");
    let mode = |path: &str| {
        std::os::unix::fs::PermissionsExt::mode(&mount.path().join(path).metadata().unwrap().permissions()) & 0o7777
    };
    assert_eq!([mode("srv/a"), mode("srv/c"), mode("old")], [0o770, 0o604, 0o750]);
    assert_eq!(std::fs::read(mount.path().join("old/file")).unwrap(), b"old");
    mount.unmount();
    // The same again, as JSON: nothing on standard output but the report.
    plain(source("tar", &archive), &image, args!["--force"]);
}
