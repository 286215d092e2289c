//! Who asks: flags, files of Docker and Podman, helpers, and which of them wins.

use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{IMAGE, Sample};
use crate::support::Run;
use crate::support::registry::http::Server;
use crate::support::registry::{Answer, User};

/// A registry that lets everybody in who says a name.
fn curious(sample: &Sample) -> Server {
    sample.content.clone().serve_with(|request| {
        let refusal =
            || Answer::error(401, "UNAUTHORIZED", "who are you?").header("WWW-Authenticate", "Basic realm=\"x\"");
        request.header("authorization").is_none().then(refusal)
    })
}

/// The names that a server has been told.
fn told(server: &Server) -> Vec<String> {
    let mut told: Vec<_> = server
        .requests()
        .iter()
        .filter_map(|request| request.header("authorization")?.strip_prefix("Basic "))
        .map(|encoded| String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap())
        .map(|pair| pair.split(':').next().unwrap().to_owned())
        .collect();
    told.sort();
    told.dedup();
    told
}

/// Name and password as files have them.
fn auth(name: &str) -> Value {
    json!({ "auth": BASE64_STANDARD.encode(format!("{name}:password of {name}")) })
}

/// A file in which this host has one name.
fn file(host: &str, name: &str) -> String {
    json!({ "auths": { host: auth(name) } }).to_string()
}

/// Fetches, and says which name the server was told. None where it was told none.
#[track_caller]
fn asks_as(user: &User, server: &Server, image: &str, options: &[&str]) -> Option<String> {
    server.forget();
    let run = user.fetch(&server.reference(image), options);
    let told = told(server);
    assert!(told.len() <= 1, "{told:?}: {run}");
    assert_eq!(run.code(), Some(if told.is_empty() { 4 } else { 0 }), "{run}");
    assert!(!run.stderr().contains("password of"), "{run}");
    told.into_iter().next()
}

#[test]
fn the_first_that_knows_wins() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    // From the least to the most preferred.
    let places = ["docker", "docker-config", "config", "runtime", "environment"];
    for count in 0..=places.len() {
        let mut user = User::new();
        for place in &places[..count] {
            let path = match *place {
                "docker" => ".docker/config.json",
                "docker-config" => "docker/config.json",
                "config" => ".config/containers/auth.json",
                "runtime" => "run/containers/auth.json",
                _ => "auth.json",
            };
            let path = user.write(path, file(&host, place));
            user = match *place {
                "docker-config" => user.with("DOCKER_CONFIG", path.parent().unwrap().display().to_string()),
                "runtime" => user.with("XDG_RUNTIME_DIR", path.ancestors().nth(2).unwrap().display().to_string()),
                "environment" => user.with("REGISTRY_AUTH_FILE", path.display().to_string()),
                _ => user,
            };
        }
        let expected = count.checked_sub(1).map(|last| places[last].to_owned());
        assert_eq!(asks_as(&user, &server, IMAGE, &[]), expected, "{:?}", &places[..count]);
        let authfile = user.write("flag.json", file(&host, "authfile")).display().to_string();
        assert_eq!(asks_as(&user, &server, IMAGE, &["--authfile", &authfile]).unwrap(), "authfile");
        let creds = ["--creds", "flag:password of flag"];
        assert_eq!(asks_as(&user, &server, IMAGE, &creds).unwrap(), "flag");
        assert_eq!(asks_as(&user, &server, IMAGE, &[&creds[..], &["--authfile", &authfile]].concat()).unwrap(), "flag");
    }
}

#[test]
fn a_file_that_does_not_know_leaves_it_to_the_next() {
    let sample = Sample::small();
    let server = curious(&sample);
    let user = User::new();
    user.write(".config/containers/auth.json", file("registry.test", "stranger"));
    user.write(".docker/config.json", file(&server.host(), "docker"));
    assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "docker");
    user.write(".config/containers/auth.json", "{}");
    assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "docker");
}

#[test]
fn the_longest_key_that_fits_wins() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    let user = User::new();
    let keys = [
        (host.clone(), "host"),
        (format!("{host}/team"), "team"),
        (format!("{host}/team/app"), "app"),
        (format!("{host}/team/app/deep"), "deep"),
        ("registry.test/team/app".to_owned(), "stranger"),
    ];
    let auths: serde_json::Map<_, _> = keys.into_iter().map(|(key, name)| (key, auth(name))).collect();
    user.write(".config/containers/auth.json", json!({ "auths": auths }).to_string());
    for (image, name) in [
        ("team/app:latest", "app"),
        ("team/app/more:latest", "app"),
        ("team/app/deep:latest", "deep"),
        ("team/app/deeper:latest", "app"),
        ("team/application:latest", "team"),
        ("team/other:latest", "team"),
        ("teams/other:latest", "host"),
        ("team:latest", "team"),
        ("other:latest", "host"),
    ] {
        assert_eq!(asks_as(&user, &server, image, &[]).unwrap(), name, "{image}");
    }
}

#[test]
fn files_that_cannot_be_used() {
    let sample = Sample::small();
    let server = curious(&sample);
    for content in
        ["no JSON", "[]", r#"{"auths":{"HOST":{"auth":"%%%"}}}"#, r#"{"auths":{"HOST":{"auth":"aGlkZGVu"}}}"#]
    {
        let user = User::new();
        let path = user.write("auth.json", content.replace("HOST", &server.host())).display().to_string();
        let run = user.fetch(&server.reference(IMAGE), &["--authfile", &path]).expect(2).says(&path);
        assert!(!run.stderr().contains("%%%") && !run.stderr().contains("hidden"), "a secret may be in there: {run}");
    }
    let user = User::new();
    let missing = user.path("missing.json").display().to_string();
    user.fetch(&server.reference(IMAGE), &["--authfile", &missing]).expect(2).says(&missing);
}

/// A helper that knows one host, and writes down what it was asked.
fn install_helper(user: User, name: &str, host: &str, username: &str) -> User {
    let path = user.write(
        &format!("bin/docker-credential-{name}"),
        format!(
            r#"#!/bin/sh
read -r registry
echo "$1 $registry" >>"$HOME/{name}.log"
case "$1 $registry" in
    "get {host}" | "get https://{host}") printf '{{"ServerURL":"%s","Username":"{username}","Secret":"the secret"}}\n' "$registry" ;;
    get*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"#
        ),
    );
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let directory = path.parent().unwrap().display().to_string();
    user.with("PATH", directory)
}

/// What a helper was asked.
fn log(user: &User, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(user.home().join(format!("{name}.log"))).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

#[test]
fn helpers_are_asked() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    for (config, expected) in [
        (json!({ "credHelpers": { &host: "fake" } }), Some("helper")),
        (json!({ "credsStore": "fake" }), Some("helper")),
        // The one for this host comes before what stands in the file, the one for all hosts after it.
        (json!({ "credHelpers": { &host: "fake" }, "auths": { &host: auth("file") } }), Some("helper")),
        (json!({ "credsStore": "fake", "auths": { &host: auth("file") } }), Some("file")),
        // An empty entry is how Docker marks what is in the store.
        (json!({ "credsStore": "fake", "auths": { &host: {} } }), Some("helper")),
        (json!({ "credHelpers": { "registry.test": "fake" } }), None),
        (json!({ "credHelpers": { "registry.test": "fake" }, "auths": { &host: auth("file") } }), Some("file")),
    ] {
        let user = install_helper(User::new(), "fake", &host, "helper");
        user.write(".docker/config.json", config.to_string());
        assert_eq!(asks_as(&user, &server, IMAGE, &[]).as_deref(), expected, "{config}");
        let asked = log(&user, "fake");
        assert_eq!(asked.is_empty(), expected != Some("helper"), "{config}: {asked:?}");
        assert!(asked.len() <= 1, "{config}: asked more than once: {asked:?}");
    }
}

#[test]
fn helpers_that_do_not_know_or_do_not_work() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    // It does not know: the next place is asked.
    let user = install_helper(User::new(), "fake", "registry.test", "helper");
    user.write(".docker/config.json", json!({ "credsStore": "fake" }).to_string());
    assert_eq!(asks_as(&user, &server, IMAGE, &[]), None);
    assert_eq!(log(&user, "fake").len(), 1);

    for script in ["echo 'no JSON'", "echo 'the keychain is locked' >&2; exit 1", "kill -9 $$"] {
        let user = install_helper(User::new(), "fake", &host, "helper");
        user.write("bin/docker-credential-fake", format!("#!/bin/sh\n{script}\n"));
        user.write(".docker/config.json", json!({ "credHelpers": { &host: "fake" } }).to_string());
        assert_lapse(&user.fetch(&server.reference(IMAGE), &[]), "docker-credential-fake");
    }
    let user = User::new();
    user.write(".docker/config.json", json!({ "credHelpers": { &host: "nosuch" } }).to_string());
    assert_lapse(&user.fetch(&server.reference(IMAGE), &[]), "docker-credential-nosuch");
    // The daemon has no part of it but to say it.
    let daemon = user.with("BANGER_IDLE", "5");
    assert_lapse(&daemon.run(["pull", &server.reference(IMAGE), "--no-kernel"]), "docker-credential-nosuch");
}

/// The registry wants credentials, and what kept them from being found is the first thing that the error says. To log in
/// would ask the same helper.
#[track_caller]
fn assert_lapse(run: &Run, reason: &str) {
    assert_eq!(run.code(), Some(4), "{run}");
    let stderr = run.stderr();
    let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{run}"));
    assert!(error.contains(reason), "{run}");
    assert!(stderr.contains("hint: ") && stderr.contains("--creds") && !stderr.contains("banger login"), "{run}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("warning: ")).count(), 1, "{run}");
}

/// A registry that gives everybody a token, as Docker Hub does, and nobody anything without one.
fn public(sample: &Sample) -> Server {
    sample.content.clone().serve_with(|request| {
        if request.path() == "/token" {
            let is_anonymous = request.header("authorization").is_none();
            return Some(Answer::new(if is_anonymous { 200 } else { 401 }, r#"{"token":"good"}"#));
        }
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"x\"", request.host());
        let is_let_in = request.header("authorization") == Some("Bearer good");
        (!is_let_in).then(|| Answer::error(401, "UNAUTHORIZED", "no token").header("WWW-Authenticate", &challenge))
    })
}

#[test]
fn a_public_image_needs_no_helper() {
    let sample = Sample::small();
    let server = public(&sample);
    let reference = server.reference(IMAGE);
    for config in [json!({ "credsStore": "desktop.exe" }), json!({ "credHelpers": { server.host(): "desktop.exe" } })] {
        let user = User::new();
        user.write(".docker/config.json", config.to_string());
        let warned = |run: &Run| {
            let stderr = run.stderr();
            let warnings: Vec<_> = stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
            assert!(matches!(warnings[..], [one] if one.contains("docker-credential-desktop.exe")), "{run}");
        };
        warned(&sample.check(&user, &reference, &[]));
        let user = user.with("BANGER_NO_DAEMON", "1");
        warned(&user.run(["pull", &reference, "--no-kernel"]).ok());
    }
}

/// Docker's command line reads this variable before its file, and a runner of GitLab has nothing else.
#[test]
fn the_environment_may_hold_credentials_itself() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    let user = User::new().with("DOCKER_AUTH_CONFIG", file(&host, "variable"));
    assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "variable");
    user.write(".docker/config.json", file(&host, "docker"));
    user.write(".config/containers/auth.json", file(&host, "podman"));
    assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "variable");
    let authfile = user.write("flag.json", file(&host, "authfile")).display().to_string();
    assert_eq!(asks_as(&user, &server, IMAGE, &["--authfile", &authfile]).unwrap(), "authfile");
    assert_eq!(asks_as(&user, &server, IMAGE, &["--creds", "flag:password of flag"]).unwrap(), "flag");
    // It is not forgotten by a logout, which says so; a login would not be used, and says so too.
    user.run(["logout", &host]).ok().says("DOCKER_AUTH_CONFIG still has a login");
    user.run(["login", &host, "-u", "somebody", "-p", "password of somebody"]).ok().says("DOCKER_AUTH_CONFIG");

    // What it does not know is in the files; so it is where it is of no use, which is said once.
    let user = User::new().with("DOCKER_AUTH_CONFIG", file("registry.test", "stranger"));
    user.write(".docker/config.json", file(&host, "docker"));
    assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "docker");
    for broken in ["no JSON of a secret", "[]", r#"{"auths":{"HOST":{"auth":"%%%"}}}"#] {
        let user = User::new().with("DOCKER_AUTH_CONFIG", broken.replace("HOST", &host));
        let run = user.fetch(&server.reference(IMAGE), &[]);
        assert_lapse(&run, "DOCKER_AUTH_CONFIG");
        assert!(!run.stderr().contains("%%%") && !run.stderr().contains("secret"), "{run}");
        user.write(".docker/config.json", file(&host, "docker"));
        assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "docker");
    }
}

/// A name is never part of a path.
#[test]
fn names_of_helpers_that_are_none() {
    let sample = Sample::small();
    let server = curious(&sample);
    for name in ["../fake", "/bin/sh", "a/b", "", "a\0b"] {
        let user = install_helper(User::new(), "fake", &server.host(), "helper");
        user.write(".docker/config.json", json!({ "credHelpers": { server.host(): name } }).to_string());
        let run = user.fetch(&server.reference(IMAGE), &[]);
        assert_ne!(run.code(), Some(0), "{name:?}: {run}");
        assert_eq!(log(&user, "fake"), Vec::<String>::new(), "{name:?}");
    }
}

/// The user name `<token>` says that the secret is an identity token.
#[test]
fn a_helper_gives_an_identity_token() {
    let sample = Sample::small();
    let server = sample.content.clone().serve_with(|request| {
        if request.path() == "/token" {
            let good = request.method == "POST" && request.body.contains("refresh_token=the+secret")
                || request.body.contains("refresh_token=the%20secret");
            return Some(if good { Answer::new(200, r#"{"access_token":"good"}"#) } else { Answer::new(401, "") });
        }
        let good = request.header("authorization") == Some("Bearer good");
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"x\"", request.host());
        (!good).then(|| Answer::new(401, "").header("WWW-Authenticate", &challenge))
    });
    let user = install_helper(User::new(), "fake", &server.host(), "<token>");
    user.write(".docker/config.json", json!({ "credsStore": "fake" }).to_string());
    sample.check(&user, &server.reference(IMAGE), &[]);
}

/// With a helper configured, a password gets to the helper and not into the file.
#[test]
fn login_gives_the_password_to_the_helper() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    let user = install_helper(User::new(), "fake", &host, "helper");
    let store = r#"#!/bin/sh
read -r line
echo "$1 $line" >>"$HOME/fake.log"
"#;
    user.write("bin/docker-credential-fake", store);
    let kept = json!({ "credsStore": "fake", "HttpHeaders": { "X": "kept" }, "proxies": {} });
    user.write(".docker/config.json", kept.to_string());
    let password = user.path("password");
    std::fs::write(&password, "very secret").unwrap();
    let mut login = user.command();
    login.args(["login", &host, "-u", "somebody", "--password-stdin"]).stdin(std::fs::File::open(password).unwrap());
    Run::of(&mut login).ok();
    let asked = log(&user, "fake");
    let stored = asked.iter().find_map(|line| line.strip_prefix("store ")).unwrap_or_else(|| panic!("{asked:?}"));
    let stored: Value = serde_json::from_str(stored).unwrap();
    assert_eq!((&stored["Username"], &stored["Secret"]), (&json!("somebody"), &json!("very secret")));
    let written = std::fs::read_to_string(user.home().join(".docker/config.json")).unwrap();
    assert!(!written.contains("very secret") && !written.contains(&BASE64_STANDARD.encode("somebody:very secret")));
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&written["HttpHeaders"], &written["credsStore"]), (&kept["HttpHeaders"], &kept["credsStore"]));
    user.run(["logout", &host]).ok();
    assert!(log(&user, "fake").iter().any(|line| line.starts_with("erase ")), "{:?}", log(&user, "fake"));
}

#[test]
fn login_keeps_what_it_does_not_know() {
    let sample = Sample::small();
    let server = curious(&sample);
    let host = server.host();
    let user = User::new();
    let before =
        json!({ "auths": { "registry.test": auth("stranger") }, "psFormat": "x", "plugins": { "a": { "b": "c" } } });
    let path = user.write(".docker/config.json", before.to_string());
    user.run(["login", &host, "-u", "somebody", "-p", "password of somebody"]).ok();
    let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for pointer in ["/auths/registry.test", "/psFormat", "/plugins"] {
        assert_eq!(after.pointer(pointer), before.pointer(pointer), "{pointer}");
    }
    assert_eq!(after["auths"][&host], auth("somebody"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(asks_as(&user, &server, IMAGE, &[]).unwrap(), "somebody");
    user.run(["logout", &host]).ok();
    let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(after["auths"], before["auths"]);
    assert_eq!(asks_as(&user, &server, IMAGE, &[]), None);
    assert_eq!(crate::support::scratch::names(path.parent().unwrap()), ["config.json"]);
}
