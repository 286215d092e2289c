//! `--guest`: what is put on top of an image, and that nothing else of it changes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::args;
use crate::judges;
use crate::support::image::{Report, build, plain};
use crate::support::judge::{ask, e2fsck};
use crate::support::program::{banger, source};
use crate::support::{Corpus, Layout, Tar, scratch};

const AGENT: &str = "/usr/local/bin/banger-vsock-agent";
const UNITS: &str = "/etc/systemd/system";

/// All names of an image, with what `ls --json` says of each. Inode numbers and the times of directories without an entry of
/// their own depend on what else is there.
fn names(image: &Path) -> BTreeMap<String, Value> {
    let listing = banger(args!["ls", image, "-R", "--json"]).ok().stdout();
    let records = listing.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let shown = records.map(|mut record| {
        for field in ["inode", "size", "allocated", "links"] {
            if record["type"] == "directory" || field == "inode" {
                record.as_object_mut().unwrap().remove(field);
            }
        }
        (record["path"].as_str().unwrap().to_owned(), record)
    });
    shown.collect()
}

#[track_caller]
fn cat(image: &Path, path: &str) -> String {
    banger(args!["cat", image, path]).ok().stdout()
}

#[track_caller]
fn stat(image: &Path, path: &str) -> Value {
    serde_json::from_str(&banger(args!["stat", image, path, "--json"]).ok().stdout()).unwrap()
}

fn guest(image: &Path) -> Value {
    serde_json::from_str(&cat(image, "/usr/local/lib/banger/guest.json")).unwrap()
}

/// An image with a program at these paths, and links.
fn programs(programs: &[&str], links: &[(&str, &str)]) -> Tar {
    let tar = programs.iter().fold(Tar::new(), |tar, path| tar.entry(path, b'0', 0o755, "", b"\x7fELF"));
    links.iter().fold(tar, |tar, (path, target)| tar.symlink(path, target))
}

fn built(scratch: &Path, tar: Tar) -> (std::path::PathBuf, Report) {
    let layout = Layout::of(scratch.join("layout"), [tar]);
    let image = scratch.join("image");
    let report = build(source("oci", layout.path()), &image, args!["--force"]);
    e2fsck(&image, &[]);
    (image, report)
}

/// On a real image: what the layer brings is this and nothing more, and everything else is as it was.
#[test]
fn nothing_else_changes() {
    let Some(corpus) = Corpus::get("debian-boot") else { return };
    let scratch = scratch();
    let [without, with] = ["without", "with"].map(|name| scratch.path().join(name));
    let report = plain(source("oci", &corpus.layout), &without, []);
    assert_eq!(report.0.get("boot"), None);
    let report = build(source("oci", &corpus.layout), &with, []);
    e2fsck(&with, &[]);
    let why = "/sbin/init leads to /usr/lib/systemd/systemd, and the command /bin/sh is a shell and nothing else";
    assert_eq!(report.0["boot"], json!({"mode": "systemd", "why": why, "init": "/sbin/init"}));

    let (before, mut after) = (names(&without), names(&with));
    let wants = format!("{UNITS}/multi-user.target.wants");
    let units = ["banger-network.service", "banger-vsock-agent.service", "banger-first-boot.service"];
    let mut brought: Vec<String> =
        units.iter().flat_map(|u| [format!("{UNITS}/{u}"), format!("{wants}/{u}")]).collect();
    // The image has an SSH server, udev and with it libkmod, but no kmod.
    assert!(before.contains_key("/usr/lib/systemd/systemd-udevd"));
    assert!(!before.contains_key("/usr/bin/kmod"));
    brought.push(format!("{UNITS}/kmod-static-nodes.service.d/banger.conf"));
    brought.push(format!("{UNITS}/banger-first-boot.service.d/before-sshd.conf"));
    brought.extend(["network-bootstrap", "first-boot"].map(|name| format!("/usr/local/libexec/banger-{name}")));
    brought.extend(["guest", "image"].map(|name| format!("/usr/local/lib/banger/{name}.json")));
    brought.extend([AGENT, "/etc/machine-id"].map(str::to_owned));
    for path in &brought {
        assert!(after.remove(path).is_some(), "{path} is not there");
    }
    for directory in [UNITS, "/usr/local/libexec", "/usr/local/lib/banger", "/usr/local/bin", &wants]
        .iter()
        .map(|path| (*path).to_owned())
        .chain(["banger-first-boot", "kmod-static-nodes"].map(|unit| format!("{UNITS}/{unit}.service.d")))
    {
        if !before.contains_key(&directory) {
            assert!(after.remove(&directory).is_some(), "{directory} is not there");
        }
    }
    for (path, record) in &before {
        if brought.contains(path) {
            continue;
        }
        assert_eq!(after.remove(path).as_ref(), Some(record), "{path}");
    }
    assert_eq!(after.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "what nobody has asked for");
}

#[test]
fn everything_is_where_it_is_promised() {
    let scratch = scratch();
    let (image, report) = built(scratch.path(), Tar::new().file("app", "app"));
    assert_eq!(report.0["boot"]["mode"], "workload");
    let agent = stat(&image, AGENT);
    assert_eq!((&agent["mode"], &agent["uid"], &agent["gid"]), (&"0755".into(), &0.into(), &0.into()));
    assert!(agent["size"].as_u64().is_some_and(|size| size > 0 && size <= 2 << 20), "{agent}");
    for (path, mode) in [
        ("/etc/systemd/system/banger-network.service", "0644"),
        ("/etc/systemd/system/banger-vsock-agent.service", "0644"),
        ("/usr/local/lib/banger/image.json", "0644"),
        // It may hold secrets.
        ("/usr/local/lib/banger/guest.json", "0600"),
    ] {
        assert_eq!(stat(&image, path)["mode"], mode, "{path}");
    }
    for path in ["/usr/local/libexec/banger-network-bootstrap", "/usr/local/libexec/banger-first-boot", "/sbin/init"] {
        assert_eq!(stat(&image, path)["link"], AGENT, "{path}");
    }
    for unit in ["banger-network.service", "banger-vsock-agent.service"] {
        let link = stat(&image, &format!("{UNITS}/multi-user.target.wants/{unit}"));
        assert_eq!(link["link"], format!("{UNITS}/{unit}"));
    }
    // What only other images get.
    let all = names(&image);
    for path in ["/etc/machine-id", "/etc/hostname", "/etc/init.d", "/etc/systemd/system/serial-getty@ttyS0.service"] {
        assert!(!all.contains_key(path), "{path}");
    }
    let config: Value = serde_json::from_str(&cat(&image, "/usr/local/lib/banger/image.json")).unwrap();
    assert_eq!(config["os"], "linux", "{config}");
    assert_eq!(guest(&image)["version"], 1);
}

/// The rule: what stands at one of the layer's places is replaced, whatever it is; directories that are there stay as they are, and links on
/// the way are followed.
#[test]
fn an_images_own_files_give_way_and_its_directories_stay() {
    let scratch = scratch();
    let tar = Tar::new()
        .directory("usr", 0o711)
        .directory("usr/local", 0o2775)
        .directory("opt", 0o700)
        .symlink("usr/local/bin", "/opt")
        .symlink("usr/local/lib", "../../var/lib")
        .symlink("sbin", "usr/sbin")
        .symlink("etc", "usr/etc")
        .file("opt/banger-vsock-agent", "the image's own")
        .symlink("usr/etc/systemd/system/banger-network.service", "/etc/passwd")
        .directory("usr/etc/systemd/system/banger-vsock-agent.service", 0o755)
        .file("usr/etc/systemd/system/banger-vsock-agent.service/file", "below")
        .file("usr/etc/passwd", "kept");
    let (image, _) = built(scratch.path(), tar);
    let all = names(&image);
    let modes = [("/usr", "0711"), ("/usr/local", "2775"), ("/opt", "0700")];
    for (path, mode) in modes {
        assert_eq!(stat(&image, path)["mode"], mode, "{path}");
    }
    assert_eq!(all["/opt/banger-vsock-agent"]["mode"], "0755");
    assert_ne!(cat(&image, "/opt/banger-vsock-agent"), "the image's own");
    for path in ["/var/lib/banger/guest.json", "/usr/sbin/init", "/usr/etc/systemd/system/banger-network.service"] {
        assert!(all.contains_key(path), "{path}");
    }
    // What a link led to is not written through it.
    assert_eq!(cat(&image, "/etc/passwd"), "kept");
    assert!(cat(&image, "/usr/etc/systemd/system/banger-network.service").contains("ExecStart="));
    assert!(cat(&image, "/usr/etc/systemd/system/banger-vsock-agent.service").contains("ExecStart="));
}

#[test]
fn the_init_decides_how_an_image_boots() {
    let scratch = scratch();
    let busybox = ["bin/busybox", "sbin/openrc", "sbin/openrc-run"];
    let cases = [
        (
            programs(
                &["usr/lib/systemd/systemd"],
                &[("usr/sbin/init", "../lib/systemd/systemd"), ("sbin", "usr/sbin")],
            ),
            "systemd",
        ),
        (programs(&busybox, &[("sbin/init", "/bin/busybox")]).file("etc/inittab", "::sysinit:/sbin/openrc"), "openrc"),
        (programs(&["sbin/init"], &[]), "init"),
        (programs(&["bin/sh"], &[("sbin/init", "../gone")]), "workload"),
    ];
    for (tar, mode) in cases {
        let (image, report) = built(scratch.path(), tar);
        assert_eq!(report.0["boot"]["mode"], mode);
        assert_eq!(guest(&image)["boot"], report.0["boot"], "the guest is told the same");
        let all = names(&image);
        assert_eq!(all.contains_key("/etc/machine-id"), mode == "systemd", "{mode}");
        assert_eq!(all.contains_key("/etc/init.d/banger-network"), mode == "openrc", "{mode}");
        assert_eq!(all.contains_key("/etc/runlevels/default/banger-vsock-agent"), mode == "openrc", "{mode}");
        let init = stat(&image, if mode == "systemd" { "/usr/sbin/init" } else { "/sbin/init" });
        assert_eq!(init["link"] == AGENT, mode == "workload", "{mode}: {init}");
    }
}

#[test]
fn what_is_set_is_told_to_the_guest() {
    judges!("ssh-keygen");
    let scratch = scratch();
    let layout = Layout::of(scratch.path().join("layout"), [Tar::new().file("app", "app")]);
    let image = scratch.path().join("image");
    let key = scratch.path().join("key");
    ask("ssh-keygen", args!["-q", "-t", "ed25519", "-N", "", "-C", "anna", "-f", key]).ok();
    let public = key.with_extension("pub");
    let variables = scratch.path().join("variables");
    std::fs::write(&variables, "# of the service\nC= c\nA=overridden\n").unwrap();
    let options = args![
        "--hostname",
        "web-1",
        "--ssh-key",
        public,
        "--env",
        "A=1=2",
        "--env",
        "B=",
        "--env-file",
        variables,
        "--entrypoint",
        "/entry -x",
        "--cmd",
        r#"["run", "a b"]"#,
        "--user",
        "app:",
        "--workdir",
        "/srv",
        "--sshd"
    ];
    build(source("oci", layout.path()), &image, options);
    let line = std::fs::read_to_string(&public).unwrap();
    let guest = guest(&image);
    assert_eq!(guest["hostname"], "web-1");
    assert_eq!(guest["ssh_keys"], json!([line.trim()]));
    assert_eq!(guest["env"], json!({"A": "1=2", "B": "", "C": " c"}));
    assert_eq!(guest["entrypoint"], json!(["/entry", "-x"]));
    assert_eq!((&guest["user"], &guest["directory"]), (&json!("app:"), &json!("/srv")));
    assert_eq!(guest["command"], json!(["run", "a b"]));
    assert_eq!(guest["sshd"], true);
    assert_eq!(cat(&image, "/etc/hostname"), "web-1\n");
    assert!(names(&image).contains_key(&format!("{UNITS}/banger-first-boot.service")));

    let refused = |options: &[std::ffi::OsString]| {
        let arguments = args!["build", source("oci", layout.path()), "-o", scratch.path().join("none")];
        banger(arguments.iter().chain(options)).expect(2)
    };
    refused(&args!["--ssh-key", key]).says("is a private key").says("key.pub");
    refused(&args!["--hostname", "a/b"]).says("wanted a host name");
    refused(&args!["--env", "A"]).says("wanted NAME=VALUE");
    refused(&args!["--cmd", "echo $HOME"]).says("JSON array");
    refused(&args!["--workdir", "srv"]).says("wanted an absolute path");
    refused(&args!["--user", ""]).says("wanted USER");
    refused(&args!["--init", "upstart"]).says("wanted auto, systemd, openrc, none, or an absolute path");
    refused(&args!["--init", "systemd"]).says("the image has no init systemd").says("--init none runs its command");
    refused(&args!["--guest", "none", "--init", "none"]).says("leaves nothing to set");
    std::fs::write(&variables, "A=1\n=x\n").unwrap();
    refused(&args!["--env-file", variables]).says("line 2").says("is no variable");
    refused(&args!["--guest", "none", "--hostname", "box"]).says("leaves nothing to set");
    let missing = args!["build", source("oci", layout.path()), "-o", image, "--ssh-key", "/no/such/key"];
    banger(missing).expect(3).says("/no/such/key");
}

#[test]
fn the_summary_names_the_boot_mode() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    let run = banger(args!["build", "demo:", "-o", image]).ok();
    run.says("boot mode  workload: runs /hello; there is no init (/sbin/init, /etc/init, /bin/init)");
    e2fsck(&image, &[]);
    assert_eq!(stat(&image, "/hello")["link"], AGENT);
    let config: Value = serde_json::from_str(&cat(&image, "/usr/local/lib/banger/image.json")).unwrap();
    assert_eq!(config["config"]["Cmd"], json!(["/hello"]));
    banger(args!["build", "demo:", "-o", image, "--force", "--platform", "linux/s390x"]).expect(3).says("s390x");
}

/// What an image has by accident, because a program has run while it was made, is not shared by its machines, and not in the file either.
#[test]
fn what_each_machine_must_have_of_its_own_does_not_come_from_the_image() {
    let scratch = scratch();
    let secrets = [
        "var/lib/dbus/machine-id",
        "var/lib/systemd/random-seed",
        "var/lib/systemd/credential.secret",
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
    ];
    let init = [("sbin/init", "/usr/lib/systemd/systemd")];
    let programs_of_all = ["usr/lib/systemd/systemd", "usr/sbin/sshd", "usr/bin/ssh-keygen"];
    let with_secrets = |tar: Tar| secrets.iter().fold(tar, |tar, path| tar.file(path, format!("secret of /{path}")));
    let (image, _) =
        built(scratch.path(), with_secrets(programs(&programs_of_all, &init)).file("etc/ssh/sshd_config", "x"));
    let all = names(&image);
    for path in secrets {
        assert!(!all.contains_key(&format!("/{path}")), "{path}");
    }
    assert!(all.contains_key("/etc/ssh/sshd_config"));
    assert_eq!(cat(&image, "/etc/machine-id"), "");
    ask("grep", args!["-c", "secret of ", image]).expect(1);
    // The image's command finds what its author has put there.
    let (image, report) = built(scratch.path(), with_secrets(programs(&["app"], &[])));
    assert_eq!(report.0["boot"]["mode"], "workload");
    for path in secrets {
        assert_eq!(cat(&image, &format!("/{path}")), format!("secret of /{path}"));
    }
}

/// A base image with systemd, as Rocky Linux and UBI have it, and an application.
fn systemd_base() -> Tar {
    programs(
        &["usr/lib/systemd/systemd", "usr/bin/bash", "usr/local/bin/entrypoint", "start.sh", "init"],
        &[("usr/sbin/init", "../lib/systemd/systemd"), ("sbin", "usr/sbin"), ("bin", "usr/bin")],
    )
}

/// An image's command comes before the init that its base has; `--init` comes before both.
#[test]
fn the_command_decides_how_an_image_boots() {
    let scratch = scratch();
    let systemd = "/usr/lib/systemd/systemd";
    let cases = [
        (json!({"Cmd": ["/bin/bash"]}), "systemd", Some("/sbin/init"), json!(null)),
        (json!({"Cmd": null}), "systemd", Some("/sbin/init"), json!(null)),
        (json!({"Entrypoint": ["/start.sh"], "Cmd": ["serve"]}), "workload", None, json!(null)),
        (json!({"Cmd": ["bash", "-c", "start"]}), "workload", None, json!(null)),
        (json!({"Entrypoint": ["/init"]}), "workload", None, json!(null)),
        (json!({"Cmd": [systemd, "--unit=web.target"]}), "systemd", Some(systemd), json!(["--unit=web.target"])),
        (
            json!({"Entrypoint": ["entrypoint", "/sbin/init"]}),
            "systemd",
            Some("/usr/local/bin/entrypoint"),
            json!(["/sbin/init"]),
        ),
    ];
    let image = scratch.path().join("image");
    for (config, mode, init, args) in cases {
        let layout = Layout::of_config(scratch.path().join("layout"), json!({"config": config}), [systemd_base()]);
        let built = |options: &[std::ffi::OsString]| {
            let arguments = args!["build", source("oci", layout.path()), "-o", image, "--json", "--no-sync", "--force"];
            Report::of(&banger(arguments.iter().chain(options)).ok())
        };
        let auto = built(&[]);
        let boot = &auto.0["boot"];
        assert_eq!(
            (&boot["mode"], &boot["init"], &boot["args"]),
            (&json!(mode), &json!(init), &args),
            "{config}: {boot}"
        );
        assert_eq!(guest(&image)["boot"], *boot);
        // What is started without a kernel's command line.
        let started = stat(&image, "/usr/sbin/init")["link"].clone();
        assert_eq!(started == AGENT, mode == "workload", "{config}: {started}");
        // So that a machine that is told to boot with it does not wait for consoles.
        let mask = format!("{UNITS}/serial-getty@ttyS0.service");
        assert_eq!(stat(&image, &mask)["link"], "/dev/null", "{config}");
        for (init, chosen) in [("none", "workload"), ("systemd", "systemd"), ("/init", "init"), ("auto", mode)] {
            let report = built(&args!["--init", init]);
            assert_eq!(report.0["boot"]["mode"], chosen, "{config} --init {init}: {}", report.0["boot"]);
            let why = report.0["boot"]["why"].as_str().unwrap();
            assert_eq!(why.starts_with(&format!("--init {init}: ")), init != "auto", "{why}");
            assert_eq!(report.content_id() == auto.content_id(), report.0["boot"] == *boot, "{config} --init {init}");
        }
        // A command that is set counts as the image's own would.
        let report = built(&args!["--entrypoint", "", "--cmd", "/sbin/init 3"]);
        assert_eq!(report.0["boot"]["args"], json!(["3"]), "{}", report.0["boot"]);
        assert_eq!(built(&args!["--entrypoint", "", "--cmd", "bash"]).0["boot"]["mode"], "workload");
    }
}

/// Where an init is that the kernel would not find, the agent is what the kernel finds, and starts it.
#[test]
fn an_init_elsewhere_is_started_by_the_agent() {
    let scratch = scratch();
    let tar = programs(&["lib/systemd/systemd"], &[]);
    let config = json!({"config": {"Entrypoint": ["/lib/systemd/systemd"]}});
    let layout = Layout::of_config(scratch.path().join("layout"), config, [tar]);
    let image = scratch.path().join("image");
    let report = build(source("oci", layout.path()), &image, []);
    assert_eq!(
        (&report.0["boot"]["mode"], &report.0["boot"]["init"]),
        (&json!("systemd"), &json!("/lib/systemd/systemd"))
    );
    assert_eq!(stat(&image, "/sbin/init")["link"], AGENT);
    assert!(names(&image).contains_key("/etc/machine-id"));
}

/// What Go's programs write and read: nulls for whatever is empty, fields that the specification does not have, names in another case.
#[test]
fn nulls_in_an_images_documents_are_no_matter() {
    let scratch = scratch();
    let image = scratch.path().join("image");
    let app = || programs(&["app"], &[]);
    let cases = [
        json!({"Entrypoint": null, "Volumes": null, "ExposedPorts": null, "Labels": null, "OnBuild": null, "Healthcheck": null,
            "StopSignal": null, "WorkingDir": null, "User": null, "Shell": null, "Env": null}),
        json!({"ExposedPorts": {"80/tcp": null, "80": {}, "5000-5010/tcp": {}}, "Volumes": {"/data": null}, "Labels": {"a": null}}),
        json!({"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000_u64}, "ArgsEscaped": true, "Tty": true,
            "StopTimeout": 10, "MacAddress": "", "Domainname": "", "Hostname": "abc", "Image": "sha256:0", "OpenStdin": true}),
        json!({"Env": ["PATH=/bin", "EMPTY=", "LONELY", "=C:=C:\\", null, "PATH=/bin"]}),
        json!({"cmd": ["/app"], "Cmd": ["/app"]}),
        json!({"Cmd": "/app"}),
    ];
    for mut config in cases {
        let fields = config.as_object_mut().unwrap();
        if !fields.contains_key("Cmd") {
            fields.insert("Cmd".to_owned(), json!(["/app"]));
        }
        let document = json!({"config": config, "history": null, "author": null, "container_config": null, "variant": null,
            "os.version": null, "os.features": null, "created": null, "docker_version": ""});
        let mut layout = Layout::of_config(scratch.path().join("layout"), document, [app()]);
        layout.change_manifest(|manifest| {
            manifest["annotations"] = json!({"a": null});
            manifest["subject"] = json!(null);
            manifest["artifactType"] = json!(null);
            manifest["manifests"] = json!(null);
            manifest["layers"][0]["annotations"] = json!(null);
            manifest["layers"][0]["urls"] = json!(null);
            manifest["config"]["platform"] = json!(null);
            manifest["config"]["data"] = json!(null);
        });
        layout.change_entry(|entry| {
            entry["annotations"]["other"] = json!(null);
            entry["platform"]["variant"] = json!(null);
            entry["platform"]["os.features"] = json!(null);
            entry["urls"] = json!(null);
        });
        let arguments = args!["build", source("oci", layout.path()), "-o", image, "--force", "--no-sync"];
        let run = banger(arguments).ok();
        assert!(!run.stderr().contains("warning"), "{config}: {run}");
        run.says("workload: runs /app; there is no init");
        e2fsck(&image, &[]);
    }
    // What no reader of Go's would take either is warned of, and needed for no disk.
    let document = json!({"config": {"Env": {"A": "b"}}});
    let layout = Layout::of_config(scratch.path().join("layout"), document, [app()]);
    let run = banger(args!["build", source("oci", layout.path()), "-o", image, "--force"]).ok();
    run.says("warning: ").says("cannot be understood");
}
