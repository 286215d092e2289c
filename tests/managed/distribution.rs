//! One machine builds, and another one has the same: through a registry, through a bundle, through a file.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::args;
use crate::judges;
use crate::support::judge::ask;
use crate::support::registry::Debian;
use crate::support::scratch::names;
use crate::support::{Corpus, Managed, Run, Tar};

/// The files of an image: the names below its directory with their bytes' digests, by somebody else's program.
fn digests(image: &Value) -> String {
    let directory = Path::new(image["rootfs"].as_str().unwrap()).parent().unwrap().to_owned();
    let mut command = Command::new("sh");
    let script = "find . -type f ! -name config.json | LC_ALL=C sort | xargs sha256sum";
    Run::of(command.args(["-c", script]).current_dir(directory)).ok().stdout()
}

/// An image of the corpus with a kernel, under the name `web`.
fn pull_web(managed: &Managed, corpus: &Corpus) {
    managed.import_kernel();
    let source = crate::support::program::source("oci", &corpus.layout);
    managed.run(args!["pull", source, "--name", "web", "--quiet"]).ok();
}

#[test]
fn what_was_pushed_comes_back_as_it_was() {
    let Some(corpus) = Corpus::get("busybox") else { return };
    let registry = Debian::plain();
    let builder = Managed::new();
    pull_web(&builder, &corpus);
    let built = builder.show("web");
    let reference = registry.reference("team/web:1.2");
    let pushed = builder.json(args!["image", "push", "web", &reference]).remove(0);
    // Again, nothing has to be sent, and it is the same.
    let again = builder.json(args!["image", "push", "web", &reference]).remove(0);
    assert_eq!((&again["digest"], &again["sent"]), (&pushed["digest"], &Value::from(0)));

    let inspected: Value = serde_json::from_str(&registry.inspect("team/web:1.2", &[]).ok().stdout()).unwrap();
    assert_eq!(inspected["Digest"], pushed["digest"]);
    assert_eq!((&inspected["Os"], &inspected["Architecture"]), (&Value::from("linux"), &Value::from("amd64")));
    let copy = builder.user.path("copy");
    let mut target = std::ffi::OsString::from("oci:");
    target.push(&copy);
    ask("skopeo", args!["copy", "--src-tls-verify=false", format!("docker://{reference}"), target]).ok();

    // Somebody else, who has nothing: no kernel, no cache, no image.
    let fleet = Managed::new();
    let run = fleet.run(args!["pull", &reference, "--json"]).ok().says("unpacking the kernel of web-1.2");
    let pulled: Value = serde_json::from_str(&run.stdout()).unwrap();
    run.says(&format!("kernel {}", pulled["kernel"]["version"].as_str().unwrap()));
    assert_eq!(pulled["name"], "web-1.2");
    assert_eq!(pulled["digest"], pushed["digest"]);
    for same in ["size", "boot", "platform", "content_id"] {
        assert_eq!(pulled[same], built[same], "{same}");
    }
    assert_eq!(pulled["kernel"]["digest"], built["kernel"]["digest"]);
    assert_eq!(digests(&pulled), digests(&built));
    fleet.assert_sound();
    let history = fleet.json(["image", "history", "web-1.2"]);
    assert_eq!(history, builder.json(["image", "history", "web"]));

    // Over an air gap: what skopeo has copied is the same image. Its bundle is never the content of a root file system.
    let archive = builder.user.path("copy.tar");
    let mut to = crate::support::program::source("oci-archive", &archive);
    to.push(":team/web:1.2");
    ask("skopeo", args!["copy", "--src-tls-verify=false", format!("docker://{reference}"), to]).ok();
    for (scheme, file) in [("oci", &copy), ("oci-archive", &archive)] {
        let away = Managed::new();
        let source = crate::support::program::source(scheme, file);
        let pulled = away.json(args!["pull", &source, "--name", "web"]).remove(0);
        for same in ["digest", "content_id", "boot"] {
            assert_eq!(pulled[same], fleet.show("web-1.2")[same], "{scheme}: {same}");
        }
        assert_eq!(digests(&pulled), digests(&built), "{scheme}");
        away.assert_sound();
        let image = away.user.path("image");
        away.run(args!["build", &source, "-o", &image]).expect(1).says("finished image").says("`banger pull oci");
        let kernel = pulled["kernel"]["image"].as_str().unwrap();
        let mut run = away.command(args!["run", "--rm", "--kernel", kernel, &source]);
        run.env("PATH", std::env::var_os("PATH").unwrap());
        Run::of(&mut run).expect(1).says("finished image").says("`banger pull oci");
        assert!(!image.exists());
    }
    let image = fleet.user.path("image");
    fleet.run(args!["build", &reference, "-o", &image]).expect(1).says(&format!("`banger pull {reference}`"));
    // An archive as `docker save` writes it has the config, and nothing of the manifest.
    let altered = builder.user.path("altered.tar");
    std::fs::write(&altered, docker_archive(&copy)).unwrap();
    let source = crate::support::program::source("docker-archive", &altered);
    for arguments in
        [args!["pull", &source, "--name", "altered"].to_vec(), args!["build", &source, "-o", &image].to_vec()]
    {
        fleet.run(arguments).expect(1).says("lost its type").says("oci-archive:FILE");
    }
    assert!(!image.exists());
    assert_eq!(fleet.images(), ["web-1.2"]);

    // A finished image cannot be built otherwise.
    fleet.run(args!["pull", &reference, "--name", "other", "--hostname", "other"]).expect(2).says("finished image");
    assert_eq!(fleet.images(), ["web-1.2"]);
}

/// An archive of docker's form with the config of the image in a layout, and layers in their number.
fn docker_archive(layout: &Path) -> Vec<u8> {
    let content = crate::support::registry::Content::of_first(layout);
    let blobs = content.blobs_of("first");
    let (config, layers) = blobs.split_first().unwrap();
    let config_name = format!("{}.json", config.strip_prefix("sha256:").unwrap());
    let mut archive = Tar::new().file(&config_name, content.bytes(config));
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let name = format!("{number}.tar");
        archive = archive.file(&name, content.bytes(layer));
        names.push(name);
    }
    let manifest = json!([{ "Config": config_name, "RepoTags": ["team/web:1.2"], "Layers": names }]);
    archive.file("manifest.json", manifest.to_string()).finish()
}

#[test]
fn a_containerdisk_is_as_kubevirt_takes_it() {
    let Some(corpus) = Corpus::get("busybox") else { return };
    let registry = Debian::plain();
    let builder = Managed::new();
    pull_web(&builder, &corpus);
    let reference = registry.reference("team/disk:1.2");
    builder.run(args!["image", "push", "web", &reference, "--as", "containerdisk", "--quiet"]).ok();
    let layout = builder.user.path("disk-layout");
    let mut target = std::ffi::OsString::from("oci:");
    target.push(&layout);
    target.push(":disk");
    ask("skopeo", args!["copy", "--src-tls-verify=false", format!("docker://{reference}"), &target]).ok();
    let bundle = builder.user.path("unpacked");
    let mut image = layout.into_os_string();
    image.push(":disk");
    ask("umoci", args!["raw", "unpack", "--image", image, &bundle]).ok();

    assert_eq!(names(&bundle.join("disk")), ["web.qcow2"]);
    let disk = bundle.join("disk/web.qcow2");
    let stat = ask("stat", args!["--format=%u:%g %a", &disk]).ok();
    assert_eq!(stat.stdout(), "107:107 440\n");
    ask("qemu-img", args!["check", &disk]).ok();
    let built = builder.show("web");
    let rootfs = built["rootfs"].as_str().unwrap();
    ask("qemu-img", args!["compare", "-f", "qcow2", "-F", "raw", &disk, rootfs]).ok();
    let kernel = built["kernel"]["image"].as_str().unwrap();
    ask("cmp", args![bundle.join("boot/vmlinuz"), kernel]).ok();
    let initrd = built["kernel"]["initrd"].as_str().unwrap();
    ask("cmp", args![bundle.join("boot/initrd.img"), initrd]).ok();
}

#[test]
fn a_bundle_and_a_kernel_are_offered_by_a_catalog() {
    let Some(corpus) = Corpus::get("busybox") else { return };
    let builder = Managed::new();
    pull_web(&builder, &corpus);
    let site = builder.user.path("site");
    std::fs::create_dir(&site).unwrap();
    let catalog = site.join("catalog.json");
    let bundle = builder.json(args!["bundle", "make", "web", "-o", &site]).remove(0);
    let archive = builder.json(args!["kernel", "export", "linux", "-o", &site]).remove(0);
    for (file, more) in [(&bundle, &["--description", "busybox"][..]), (&archive, &[])] {
        let path = file["path"].as_str().unwrap();
        builder.run([&["catalog", "add", catalog.to_str().unwrap(), path], more].concat()).ok();
    }

    let server = crate::support::managed::files_of(&site);
    let fleet = Managed::new();
    fleet.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host()));
    fleet.run(["kernel", "ls", "--available"]).ok().says("linux");
    fleet.run(["catalog", "ls"]).ok().says("web").says("demo");
    // It is there for each architecture, under one name.
    let names = fleet.run(["catalog", "ls", "--quiet"]).ok().stdout();
    assert_eq!(names.lines().filter(|name| *name == "demo").count(), 1, "{names}");
    // The bundle names its kernel, which comes along.
    let pulled = fleet.json(["pull", "web"]).remove(0);
    let built = builder.show("web");
    assert_eq!(pulled["kernel"]["name"], "linux");
    assert_eq!(digests(&pulled), digests(&built));
    assert_eq!(fleet.json(["kernel", "ls"]).len(), 1);
    fleet.assert_sound();

    // What was downloaded is not downloaded again, and what a catalog said is known without it.
    let before = server.requests().len();
    let target = |request: &crate::support::registry::Request| request.path().to_owned();
    drop(fleet.json(["pull", "web", "--name", "again"]));
    let since: Vec<String> = server.requests()[before..].iter().map(target).collect();
    assert_eq!(since, ["/catalog.json"]);
    drop(server);
    fleet.run(["pull", "web", "--name", "offline"]).ok().says("fetched last");
    assert_eq!(fleet.images(), ["again", "offline", "web"]);
}

#[test]
fn an_exported_image_is_the_same_image() {
    let Some(corpus) = Corpus::get("debian-min") else { return };
    let managed = Managed::new();
    let source = crate::support::program::source("oci", &corpus.layout);
    managed.run(args!["pull", source, "--name", "min", "--no-kernel", "--guest", "none", "--quiet"]).ok();
    let rootfs = managed.show("min")["rootfs"].as_str().unwrap().to_owned();
    let path = |name: &str| managed.user.path(name);
    for (format, file) in [("raw", "raw"), ("qcow2", "qcow2"), ("tar", "tar")] {
        managed.run(args!["image", "export", "min", "--format", format, "-o", path(file), "--quiet"]).ok();
    }
    ask("cmp", args![path("raw"), &rootfs]).ok();
    ask("qemu-img", args!["compare", "-f", "qcow2", "-F", "raw", path("qcow2"), &rootfs]).ok();
    // An archive of the files becomes the same tree again.
    let again = path("again.ext4");
    let tar = crate::support::program::source("tar", &path("tar"));
    managed.run(args!["build", tar, "-o", &again, "--guest", "none", "--quiet"]).ok();
    crate::support::listing::check_mount(&again, &corpus.expected);
    crate::support::judge::e2fsck(&again, &[]);
}

/// Files with holes are plain members, which every reader takes for what they are; `--sparse` leaves the holes out, for the
/// readers that know that form.
#[test]
fn every_reader_unpacks_an_exported_archive() {
    judges!("tar", "bsdtar", "python3", "busybox", "e2fsck");
    let managed = Managed::new();
    let path = |name: &str| managed.user.path(name);
    let mut content = vec![b'a'; 100_000];
    content.resize(3 << 20, 0);
    content[1 << 20..(1 << 20) + 5].copy_from_slice(b"after");
    let layer = crate::support::Tar::new().file("holes", &content).file("none", b"none").finish();
    std::fs::write(path("layer.tar"), layer).unwrap();
    let source = crate::support::program::source("tar", &path("layer.tar"));
    managed.run(args!["pull", source, "--name", "holes", "--no-kernel", "--guest", "none", "--quiet"]).ok();
    let export = |name: &str, options: &[&str]| {
        let options = options.iter().map(std::ffi::OsString::from);
        let arguments = args!["image", "export", "holes", "--format", "tar", "-o", path(name), "--quiet"];
        managed.run(arguments.into_iter().chain(options)).ok();
        path(name)
    };
    let (plain, sparse) = (export("plain.tar", &[]), export("sparse.tar", &["--sparse"]));
    let has =
        |archive: &std::path::Path| String::from_utf8_lossy(&std::fs::read(archive).unwrap()).contains("GNU.sparse");
    assert!(!has(&plain) && has(&sparse));
    assert!(sparse.metadata().unwrap().len() < 200_000 && plain.metadata().unwrap().len() > 3 << 20);
    let python = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
    for (archive, readers) in
        [(&plain, &["tar", "bsdtar", "python3", "busybox"][..]), (&sparse, &["tar", "bsdtar", "python3"])]
    {
        for &reader in readers {
            let to = path("unpacked");
            std::fs::create_dir(&to).unwrap();
            match reader {
                "python3" => ask(reader, args!["-c", python, archive, to]),
                "busybox" => ask(reader, args!["tar", "-xf", archive, "-C", to]),
                _ => ask(reader, args!["-xf", archive, "-C", to]),
            }
            .ok();
            assert_eq!(crate::support::scratch::names(&to), ["holes", "none"], "{reader}");
            assert!(std::fs::read(to.join("holes")).unwrap() == content, "{reader} of {}", archive.display());
            std::fs::remove_dir_all(to).unwrap();
        }
    }
    managed
        .run(args!["image", "export", "holes", "--sparse", "-o", path("raw"), "--quiet"])
        .expect(2)
        .says("only an archive can be written without the holes of its files")
        .says("--format tar");
}

/// `-o new/` says what is meant: the directory is created.
#[test]
fn the_directory_of_a_bundle_is_created() {
    let managed = Managed::new();
    managed.run(args!["pull", "demo:", "--no-kernel", "--quiet"]).ok();
    let to = managed.user.path("new/deep/");
    managed.run(args!["bundle", "make", "demo", "-o", &to, "--quiet"]).ok();
    assert_eq!(crate::support::scratch::names(&to).len(), 1);
    std::fs::write(managed.user.path("file"), "").unwrap();
    managed
        .run(args!["bundle", "make", "demo", "-o", managed.user.path("file"), "--quiet"])
        .expect(1)
        .says("cannot create the directory ");
}
