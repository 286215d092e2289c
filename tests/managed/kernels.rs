//! Which kernel an image gets, and which it does not: wrong files, missing ones, and names that cannot be.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bench::{SMALL, VERSION, import, keep, kernel_directory, layers, site};
use crate::args;
use crate::support::managed::files_of;
use crate::support::program::source;
use crate::support::{Layout, Managed, kernel, layout};

/// A kernel of another version, with all that belongs to it, at a place of its own.
fn other_kernel(managed: &Managed) -> PathBuf {
    let directory = managed.user.path("other-kernel");
    kernel::write(&directory, "6.2.0-other");
    directory
}

fn image(directory: &Path) -> String {
    directory.join(kernel::name()).to_str().unwrap().to_owned()
}

/// The version and the name of the kernel of an image.
fn kernel_of(image: &Value) -> (String, Option<String>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (text(&image["kernel"]["version"]).unwrap(), text(&image["kernel"]["name"]))
}

#[test]
fn what_is_no_kernel_is_refused_before_anything_is_asked_for() {
    let managed = Managed::new();
    import(&managed, "linux");
    let layout = Layout::of(managed.user.path("layout"), layers(1, 1000));
    let server = crate::support::registry::Content::of(layout.path()).serve();
    let reference = server.reference("some/image:latest");
    let directory = kernel_directory(&managed);
    let other = other_kernel(&managed);
    let write = |name: &str, bytes: &[u8]| {
        let path = managed.user.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = image(&directory);
    let modules = |directory: &Path| directory.join("modules").to_str().unwrap().to_owned();
    let text = write("text", b"I am a text.\n");
    let initrd = write("initrd", &kernel::initrd());
    let foreign = write("foreign", &kernel::foreign(VERSION));
    let empty = write("empty", b"");
    let page = write("page", b"<!DOCTYPE html><title>404</title>");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--kernel", &text], 2, "is no Linux kernel: it looks like a text"),
        (&["--kernel", &page], 2, "it looks like a web page"),
        (&["--kernel", &empty], 2, "it looks like an empty file"),
        (&["--kernel", &initrd], 2, "it looks like an initial RAM disk"),
        (&["--kernel", "/bin/true"], 2, "it looks like a program"),
        (&["--kernel", directory.to_str().unwrap()], 2, "is no file, but a directory"),
        (&["--kernel", "/dev/zero"], 2, "is no file"),
        (&["--kernel", "/nowhere/vmlinuz"], 3, "cannot open /nowhere/vmlinuz"),
        (&["--kernel", &right, "--initrd", &text], 2, "is no initial RAM disk: it looks like a text"),
        (&["--kernel", &right, "--initrd", &right], 2, "it looks like a Linux kernel"),
        (&["--kernel", &right, "--initrd", "/nowhere"], 3, "cannot open /nowhere"),
        (&["--kernel", &right, "--modules", &modules(&other)], 2, "are for the kernel 6.2.0-other, not for"),
        (&["--kernel", &right, "--modules", "/etc"], 3, "no kernel modules in /etc"),
        (&["--kernel", &right, "--modules", &text], 1, "Not a directory"),
        (&["--kernel-ref", "nothing"], 3, "there is no kernel \"nothing\" here, and no catalog has it"),
        (&["--kernel-ref", "../linux"], 2, "is not a name"),
        (&["--kernel-ref", ""], 2, "is not a name"),
        (&["--kernel-ref", "linux", "--no-kernel"], 2, "cannot be used with"),
        (&["--initrd", &initrd], 2, "--kernel"),
    ];
    for (options, code, said) in cases {
        let arguments = [&["pull", &reference, "--name", "new"][..], &SMALL, options].concat();
        let run = managed.run(&arguments).expect(*code).says(said);
        assert_eq!(run.stderr().lines().filter(|line| line.starts_with("error: ")).count(), 1, "{run}");
        assert_eq!(managed.images(), [""; 0], "{run}");
        assert!(server.requests().is_empty(), "{run}: {:?}", server.requests());
        let registered = [&["image", "register", "new", &text][..], options].concat();
        assert_ne!(managed.run(&registered).code(), Some(0), "{options:?}");
    }
    managed.assert_sound();
    // Of another machine it is found when it is known what the image is for.
    managed
        .run([&["pull", &reference, "--name", "new", "--kernel", &foreign][..], &SMALL].concat())
        .expect(2)
        .says("is a kernel for");
    assert!(server.blobs().iter().all(|blob| blob.sent() < 1000), "no layer was asked for");
    assert_eq!(managed.images(), [""; 0]);
}

#[test]
fn without_a_kernel_there_is_no_image_unless_that_is_wanted() {
    let managed = Managed::new();
    let layout = Layout::of(managed.user.path("layout"), layers(1, 1000));
    let source = source("oci", layout.path());
    let source = source.to_str().unwrap();
    let architecture = layout::host_platform().split_once('/').unwrap().1.to_owned();
    let run = managed.run([&["pull", source, "--name", "new"][..], &SMALL].concat()).expect(3);
    let run = run.says(&format!("there is no kernel for {architecture} here")).says("banger kernel pull debian");
    assert!(run.stderr().contains("--no-kernel"), "{run}");
    managed.run([&["pull", source, "--name", "new", "--no-kernel"][..], &SMALL].concat()).ok();
    assert_eq!(managed.show("new")["kernel"], Value::Null);
    // One that the settings name, and that is not there.
    managed.user.configure("kernel = \"gone\"\n");
    managed.run([&["pull", source, "--name", "other"][..], &SMALL].concat()).expect(3).says("\"gone\"");
    managed.assert_sound();
}

/// By name, as the bundle says, by files, as is set, the newest: each goes before those that follow.
#[test]
fn the_order_of_kernels() {
    let managed = Managed::new();
    let other = other_kernel(&managed);
    import(&managed, "linux");
    managed.run(args!["kernel", "import", "--from", &other, "--name", "newer", "--quiet"]).ok();
    let third = managed.user.path("third-kernel");
    kernel::write(&third, "5.0.0-third");
    let third = image(&third);
    let named = |version: &str, name: &str| (version.to_owned(), Some(name.to_owned()));
    let layout = Layout::of(managed.user.path("layout"), layers(1, 1000));
    let source = source("oci", layout.path());
    let server = files_of(&site(&managed));
    let catalog = format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host());
    let layers = source.to_str().unwrap();
    let file = ("5.0.0-third".to_owned(), None);
    type Got = (String, Option<String>);
    let cases: &[(&str, &str, &[&str], Got)] = &[
        (layers, "", &[], named("6.2.0-other", "newer")),
        (layers, "kernel = \"linux\"\n", &[], named(VERSION, "linux")),
        (layers, "kernel = \"newer\"\n", &["--kernel", &third], file.clone()),
        (layers, "kernel = \"newer\"\n", &["--kernel", &third, "--kernel-ref", "linux"], named(VERSION, "linux")),
        (layers, "", &["--kernel-ref", "linux", "--kernel", &third], named(VERSION, "linux")),
        // The bundle was made with `remote`, which is of the same version as `linux`.
        ("web", "", &[], named(VERSION, "remote")),
        ("web", "kernel = \"newer\"\n", &[], named(VERSION, "remote")),
        ("web", "", &["--kernel", &third], named(VERSION, "remote")),
        ("web", "", &["--kernel-ref", "newer"], named("6.2.0-other", "newer")),
        ("web", "", &["--kernel", &third, "--kernel-ref", "newer"], named("6.2.0-other", "newer")),
    ];
    for (source, settings, options, expected) in cases {
        managed.user.configure(&format!("{settings}{catalog}"));
        let size: &[&str] = if *source == "web" { &[] } else { &SMALL };
        let pulled = managed.json([&["pull", source, "--name", "new"][..], size, options].concat()).remove(0);
        assert_eq!(kernel_of(&pulled), *expected, "{source} {settings:?} {options:?}");
        managed.assert_sound();
        managed.run(["image", "rm", "new", "--quiet"]).ok();
        managed.user.configure(&catalog);
        if managed.json(["kernel", "ls"]).len() > 2 {
            managed.run(["kernel", "rm", "remote", "--quiet"]).ok();
        }
    }
    // The same of a registered image, which has no bundle.
    keep(&managed, "kept", super::bench::layers(3, 1000), &["--kernel-ref", "linux"]);
    let rootfs = managed.show("kept")["rootfs"].as_str().unwrap().to_owned();
    for (options, expected) in [
        (&["--kernel", &third, "--kernel-ref", "linux"][..], named(VERSION, "linux")),
        (&["--kernel-ref", "linux", "--kernel", &third], named(VERSION, "linux")),
        (&["--kernel", &third], file.clone()),
        (&[], named("6.2.0-other", "newer")),
    ] {
        managed.run([&["image", "register", "mine", &rootfs][..], options].concat()).ok();
        assert_eq!(kernel_of(&managed.show("mine")), expected, "{options:?}");
        managed.run(["image", "rm", "mine", "--quiet"]).ok();
    }
}

/// A kernel is checked whenever it is used, and its images have files of their own.
#[test]
fn a_kernel_that_is_not_what_it_was() {
    let managed = Managed::new();
    import(&managed, "linux");
    keep(&managed, "before", layers(1, 1000), &[]);
    let kept = managed.root().join("kernels/linux");
    for file in [kernel::name(), "initrd.img", "modules/kernel/drivers/some.ko"] {
        let path = kept.join(file);
        let bytes = std::fs::read(&path).unwrap();
        // A disk that goes wrong does not ask for the mode; nor is it the file of the images that changes.
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &changed).unwrap();
        let layout = Layout::of(managed.user.path("layout"), layers(2, 1000));
        let arguments = args!["pull", source("oci", layout.path()), "--name", "new", "--size", "64M"];
        let run = managed.run(&arguments).expect(6);
        assert!(run.stderr().contains("linux") && run.stderr().contains("hint: "), "{file}: {run}");
        managed.assert_sound();
        std::fs::write(&path, &bytes).unwrap();
        managed.run(&arguments).ok();
        managed.run(["image", "rm", "new", "--quiet"]).ok();
    }
    managed.run(["kernel", "rm", "linux", "--quiet"]).ok();
    managed.assert_sound();
    assert_eq!(managed.images(), ["before"]);
}

#[test]
fn names_that_collide_and_names_that_cannot_be() {
    let managed = Managed::new();
    import(&managed, "linux");
    keep(&managed, "taken", layers(1, 1000), &[]);
    let layout = Layout::of(managed.user.path("layout"), layers(2, 1000));
    let server = crate::support::registry::Content::of(layout.path()).serve();
    let reference = server.reference("some/image:latest");
    let manifest = layout.first_manifest();
    let is_layer = |target: &str| {
        let layers = manifest["layers"].as_array().unwrap();
        layers.iter().any(|layer| target.ends_with(layer["digest"].as_str().unwrap()))
    };
    let id = "a".repeat(64);
    let long = "a".repeat(128);
    for (name, code, said) in [
        ("taken", 1, "there is an image named \"taken\" already"),
        ("", 2, "it is empty"),
        ("Upper", 2, "it begins with 'U'"),
        ("../x", 2, "it begins with '.'"),
        ("a/b", 2, "cannot be the name of an image"),
        ("a b", 2, "cannot be the name of an image"),
        ("a\nb", 2, "cannot be the name of an image"),
        ("-rf", 2, "error: "),
        ("a.staging", 2, "it ends in \".staging\""),
        ("a.removed", 2, "it ends in \".removed\""),
        ("\u{e4}", 2, "cannot be the name of an image"),
        (&id, 2, "are an id"),
        (&long, 2, "cannot be the name of an image"),
    ] {
        let arguments = ["pull", &reference, &format!("--name={name}"), "--size", "64M"];
        let asked = server.requests().len();
        managed.run(arguments).expect(code).says(said);
        // Of a name that is taken it is said whether the image is up to date.
        assert!(name == "taken" || server.requests().len() == asked, "{name}: {:?}", server.requests());
        if name != "-rf" {
            managed.run(["image", "rename", "taken", name]).expect(if name == "taken" { 1 } else { code });
        }
        let kernel = args!["kernel", "import", "--from", managed.user.path("kernel"), "--name", name];
        if !matches!(name, "taken" | "-rf") {
            managed.run(kernel).expect(2);
        }
    }
    assert!(!server.requests().iter().any(|request| is_layer(&request.target)), "{:?}", server.requests());
    managed
        .run(args!["kernel", "import", "--from", managed.user.path("kernel"), "--name", "linux"])
        .expect(1)
        .says("already");
    assert_eq!(managed.images(), ["taken"]);
    managed.assert_sound();
}
