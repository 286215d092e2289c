//! `config.toml`: what stands in it holds, and what cannot be understood is an error that says where.
//!
//! No registry is asked: settings are read before that, and `--offline` ends it.

use std::path::Path;

use crate::support::program::command;
use crate::support::{Run, scratch};

/// Resolves something without asking anybody, in a home directory with this file of settings.
fn with_config(scratch: &Path, config: &[u8]) -> Run {
    let directory = scratch.join("home/.config/banger");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), config).unwrap();
    resolve(scratch, &[])
}

fn resolve(scratch: &Path, options: &[&str]) -> Run {
    let mut command = command();
    command.env("HOME", scratch.join("home")).current_dir(scratch);
    Run::of(command.args(["resolve", "registry.test/x", "--offline"]).args(options))
}

/// With settings that are right, it is the image that is missing.
const RIGHT: i32 = 3;

#[test]
fn what_is_right_is_taken() {
    let scratch = scratch();
    for config in [
        "",
        "# nothing\n",
        "[registry]\n",
        "[registry.\"docker.io\"]\nmirrors = [\"a.test\", { location = \"b.test:5000/docker\", tags = false }]\n",
        "registry.\"localhost:5000\" = { insecure = true, jobs = 8, timeout = 60 }\n",
        "\u{feff}[registry.\"[::1]:80\"]\r\nca = []\r\n",
    ] {
        with_config(scratch.path(), config.as_bytes()).expect(RIGHT).says("registry.test/x:latest");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let scratch = scratch();
    let cases: &[(&[u8], &str, &str)] = &[
        (b"\n[registri.\"a.test\"]\n", ":2:2: there is no key \"registri\"", "perhaps \"registry\" is meant"),
        (
            b"[registry.\"a.test\"]\n  mirors = []",
            ":2:3: there is no key \"mirors\" in",
            "perhaps \"mirrors\" is meant",
        ),
        (b"[registry.\"a.test\"]\nretries = 1", ":2:1: ", "mirrors, ca, insecure, jobs, timeout"),
        (
            b"[registry.\"a.test\"]\nmirrors = [{ location = \"a\", tag = 1 }]",
            ":2:30: there is no key \"tag\" of a mirror",
            "\"tags\"",
        ),
        (b"[registry.\"a.test\"]\nmirrors = [{ tags = true }]", ":2:12: a mirror needs a location", ""),
        (b"[registry.\"a.test\"]\nmirrors = \"b.test\"", ":2:11: \"mirrors\" wants a list, not a string", ""),
        (b"[registry.\"a.test\"]\nmirrors = [5]", "not an integer", ""),
        (b"[registry.\"a.test\"]\nmirrors = [\"https://b.test\"]", ":2:12: ", "no scheme: \"b.test\""),
        (
            b"[registry.\"a.test\"]\nca = true",
            "\"ca\" wants the name of a file, or a list of such names, not a boolean",
            "",
        ),
        (b"[registry.\"a.test\"]\nca = \"\"", ":2:6: this names no file", ""),
        (b"[registry.\"a.test\"]\ninsecure = \"yes\"", "\"insecure\" wants true or false, not a string", ""),
        (b"[registry.\"a.test\"]\njobs = 0", "\"jobs\" wants a whole number from 1 to 4294967295, not 0", ""),
        (b"[registry.\"a.test\"]\njobs = 1.5", "not a float", ""),
        (b"[registry.\"a.test\"]\ntimeout = -1", "from 1 to 86400, not -1", ""),
        (b"[registry.\"a.test\"]\ntimeout = 99999999999999999999", "from 1 to 86400", ""),
        (
            b"[registry.docker.io]\nmirrors = []",
            ":1:11: \"docker\" cannot be the name of a registry",
            "[registry.\"docker.io\"]",
        ),
        (b"[registry.\"https://a.test\"]\n", "no scheme: \"a.test\"", ""),
        (b"[registry.\"a.test/x\"]\n", "no path: \"a.test\"", ""),
        (b"[registry.\"docker.io\"]\n[registry.\"index.docker.io\"]\n", ":2:11: docker.io has settings twice", ""),
        (b"[registry.\"a.test\"]\n[registry.\"a.test\"]\n", ":2:", "duplicate"),
        (b"registry = 1", ":1:12: \"registry\" wants a table", ""),
        (b"[registry.\"a.test\"\n", ":1:", "config.toml"),
        (b"# latin-\xfc\n", "the file is not UTF-8", ""),
    ];
    for (config, said, hint) in cases {
        let run = with_config(scratch.path(), config).expect(2).says(said).says(hint);
        assert!(
            run.stderr().starts_with("error: ") && run.stderr().contains("home/.config/banger/config.toml:"),
            "{run}"
        );
        assert_eq!(run.stdout(), "");
    }
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let scratch = scratch();
    resolve(scratch.path(), &[]).expect(RIGHT);
    resolve(scratch.path(), &["--config", "missing.toml"]).expect(3).says("cannot read missing.toml");
    std::fs::write(scratch.path().join("my.toml"), "nonsense = 1").unwrap();
    resolve(scratch.path(), &["--config", "my.toml"]).expect(2).says("my.toml:1:1: ");
    // It takes the place of the user's own.
    std::fs::write(scratch.path().join("my.toml"), "").unwrap();
    with_config(scratch.path(), b"nonsense = 1").expect(2);
    resolve(scratch.path(), &["--config", "my.toml"]).expect(RIGHT);
}

#[test]
fn the_file_is_where_xdg_says() {
    let scratch = scratch();
    let elsewhere = scratch.path().join("elsewhere");
    std::fs::create_dir_all(elsewhere.join("banger")).unwrap();
    std::fs::write(elsewhere.join("banger/config.toml"), "nonsense = 1").unwrap();
    let run = |directory: &Path| {
        let mut command = command();
        command.env("HOME", scratch.path().join("home")).env("XDG_CONFIG_HOME", directory).current_dir(scratch.path());
        Run::of(command.args(["resolve", "registry.test/x", "--offline"]))
    };
    run(&elsewhere).expect(2).says("elsewhere/banger/config.toml:1:1");
    // The specification has relative paths ignored.
    run(Path::new("elsewhere")).expect(RIGHT);
}

/// How much memory layers may take to be read stands there, too, so what is wrong is an error for local sources.
#[test]
fn settings_hold_for_local_sources() {
    let scratch = scratch();
    with_config(scratch.path(), b"nonsense = 1").expect(2);
    let layout = crate::support::Layout::of(scratch.path().join("layout"), [crate::support::Tar::new()]);
    let mut command = command();
    command.env("HOME", scratch.path().join("home")).args(["build", "--no-sync", "-o"]);
    let run = Run::of(command.arg(scratch.path().join("image")).arg(format!("oci:{}", layout.path().display())));
    run.expect(2).says("there is no key \"nonsense\"");
}

/// Certificates are looked for beside the file that names them, before anybody is asked.
#[test]
fn certificates_that_are_not_there() {
    let scratch = scratch();
    with_config(scratch.path(), b"[registry.\"registry.test\"]\nca = \"company.pem\"");
    let run = |options: &[&str]| {
        let mut command = command();
        command.env("HOME", scratch.path().join("home")).current_dir(scratch.path());
        Run::of(command.args(["resolve", "registry.test/x"]).args(options)).expect(2)
    };
    run(&[]).says(&scratch.path().join("home/.config/banger/company.pem").display().to_string());
    with_config(scratch.path(), b"");
    run(&["--ca", "company.pem"]).says("company.pem");
}
