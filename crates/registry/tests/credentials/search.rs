//! Which credential is found, and where.

use std::path::Path;

use banger_oci::Reference;
use banger_registry::credentials::{Credential, Credentials, Search};
use serde_json::json;

use crate::home::{DOCKER, Home, PODMAN, auth, file, user};

#[test]
fn each_place_comes_before_those_below_it() {
    let mut home = Home::new();
    let set = |value: &Path| Some(value.to_owned().into_os_string());
    assert_eq!(home.user("q.io/x"), None);

    home.write(DOCKER, file("q.io", "docker"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("docker"));
    home.write("elsewhere/config.json", file("q.io", "docker-config"));
    home.environment.docker_config = set(&home.path("elsewhere"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("docker-config"));

    home.write(PODMAN, file("q.io", "podman"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("podman"));
    home.write("xdg/containers/auth.json", file("q.io", "xdg"));
    home.environment.xdg_config_home = set(&home.path("xdg"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("xdg"));

    home.write("run/containers/auth.json", file("q.io", "runtime"));
    home.environment.xdg_runtime_dir = set(&home.path("run"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("runtime"));

    home.write("named", file("q.io", "variable"));
    home.environment.registry_auth_file = set(&home.path("named"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("variable"));

    home.write("flag", file("q.io", "flag"));
    let flag = home.path("flag");
    let search = Search::new(Some(&flag), &home.environment);
    assert_eq!(user(&search, "q.io/x").unwrap().as_deref(), Some("flag"));
}

#[test]
fn the_next_place_is_asked_for_what_one_does_not_have() {
    let home = Home::new();
    home.write(PODMAN, file("q.io", "podman"));
    home.write(DOCKER, file("r.io", "docker"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("podman"));
    assert_eq!(home.user("r.io/x").as_deref(), Some("docker"));
    assert_eq!(home.user("s.io/x"), None);
    assert_eq!(home.user("debian"), None);
}

#[test]
fn a_named_file_is_the_only_one_and_must_be_there() {
    let mut home = Home::new();
    home.write(DOCKER, file("q.io", "docker"));
    home.write("named", "");
    home.environment.registry_auth_file = Some(home.path("named").into());
    assert_eq!(home.user("q.io/x"), None);

    home.environment.registry_auth_file = Some(home.path("nothing").into());
    let error = user(&home.search(), "q.io/x").unwrap_err().to_string();
    assert!(error.contains("/nothing: ") && error.contains("REGISTRY_AUTH_FILE"), "{error}");
    let missing = home.path("missing");
    let error = user(&Search::new(Some(&missing), &home.environment), "q.io/x").unwrap_err().to_string();
    assert!(error.contains("/missing: ") && error.contains("--authfile"), "{error}");
}

#[test]
fn a_broken_file_is_never_taken_for_an_empty_one() {
    for name in [PODMAN, DOCKER] {
        let home = Home::new();
        home.write(name, "{\"auths\": ");
        let error = user(&home.search(), "q.io/x").unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        std::fs::remove_file(home.path(name)).unwrap();
        std::fs::create_dir(home.path(name)).unwrap();
        let error = user(&home.search(), "q.io/x").unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    // A file in place of a directory means that there is nothing below.
    let home = Home::new();
    home.write(".docker", "");
    home.write(".config", "");
    assert_eq!(home.user("q.io/x"), None);
}

#[test]
fn relative_xdg_directories_are_ignored() {
    let mut home = Home::new();
    home.environment.xdg_runtime_dir = Some(".".into());
    home.environment.xdg_config_home = Some("xdg".into());
    home.write(PODMAN, file("q.io", "podman"));
    assert_eq!(home.user("q.io/x").as_deref(), Some("podman"));
}

#[test]
fn namespaces_have_credentials_of_their_own() {
    let home = Home::new();
    let keys = ["q.io", "q.io/team", "q.io/team/app", "docker.io/library", "https://index.docker.io/v1/"];
    let auths: serde_json::Map<_, _> =
        keys.iter().map(|key| ((*key).to_owned(), auth(&key.replace(':', "")))).collect();
    home.write(PODMAN, json!({ "auths": auths }).to_string());
    for (name, expected) in [
        ("q.io/other", "q.io"),
        ("q.io/teams/app", "q.io"),
        ("q.io/team/other:tag", "q.io/team"),
        ("q.io/team/app", "q.io/team/app"),
        ("q.io/team/app/part", "q.io/team/app"),
        ("debian", "docker.io/library"),
        ("user/app", "https//index.docker.io/v1/"),
    ] {
        assert_eq!(home.user(name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn docker_hub_is_found_by_any_of_its_names() {
    for key in ["docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
        let home = Home::new();
        home.write(DOCKER, file(key, "hub"));
        assert_eq!(home.user("debian").as_deref(), Some("hub"), "{key}");
        assert_eq!(home.user("q.io/x"), None, "{key}");
    }
}

#[test]
fn the_helper_of_a_registry_comes_before_entries_and_the_helper_for_all_after() {
    let home = Home::new();
    home.helper("one");
    home.keep("q.io", "kept", "secret");
    home.keep("s.io", "kept-too", "secret");
    let content = json!({
        "auths": { "q.io": auth("entry"), "r.io": auth("entry"), "s.io": {}, "t.io": {}, "u.io": auth("entry") },
        "credHelpers": { "q.io": "one", "t.io": "", "u.io": "one" },
        "credsStore": "one"
    });
    home.write(DOCKER, content.to_string());
    assert_eq!(home.user("q.io/x").as_deref(), Some("kept"));
    assert_eq!(home.user("r.io/x").as_deref(), Some("entry"));
    assert_eq!(home.user("s.io/x").as_deref(), Some("kept-too"));
    // No helper is wanted here.
    assert_eq!(home.user("t.io/x"), None);
    // What the registry's helper does not know, this file does not know.
    assert_eq!(home.user("u.io/x"), None);
    assert_eq!(home.asked(), ["get q.io", "get s.io", "get u.io"]);
}

#[test]
fn a_helper_is_asked_by_the_names_that_others_have_used() {
    let home = Home::new();
    home.helper("one");
    home.write(DOCKER, json!({ "auths": { "https://q.io": {}, "q.io/team": {} }, "credsStore": "one" }).to_string());
    home.keep("https://q.io", "kept", "secret");
    assert_eq!(home.user("q.io/team/app").as_deref(), Some("kept"));
    home.keep("docker.io", "hub", "secret");
    assert_eq!(home.user("debian").as_deref(), Some("hub"));
    assert_eq!(home.asked(), ["get https://q.io", "get https://index.docker.io/v1/", "get docker.io"]);
}

#[test]
fn what_a_helper_has_may_be_an_identity_token() {
    let home = Home::new();
    home.helper("one");
    home.keep("q.io", "<token>", "abc");
    home.write(DOCKER, json!({ "credHelpers": { "q.io": "one" } }).to_string());
    assert_eq!(home.user("q.io/x").as_deref(), Some("token abc"));
}

#[test]
fn the_same_name_is_looked_for_once() {
    let home = Home::new();
    home.helper("one");
    home.keep("q.io", "kept", "secret");
    home.write(DOCKER, json!({ "credsStore": "one" }).to_string());
    let search = home.search();
    let name = Reference::parse("q.io/x").unwrap();
    let expected = Credential::Basic { username: "kept".to_owned(), password: "secret".to_owned() };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(search.find(&name).unwrap(), Some(expected.clone())));
        }
    });
    assert_eq!(user(&search, "q.io/x:tag").unwrap().as_deref(), Some("kept"));
    assert_eq!(home.asked(), ["get q.io"]);
}

#[test]
fn a_helper_that_is_missing_is_a_lapse_and_not_nobody() {
    let home = Home::new();
    let name = Reference::parse("q.io/x").unwrap();
    home.write(DOCKER, json!({ "credsStore": "desktop" }).to_string());
    let search = home.search();
    assert_eq!(user(&search, "q.io/x").unwrap(), None);
    let lapse = search.lapse(&name).unwrap();
    assert!(lapse.reason.contains("docker-credential-desktop") && lapse.reason.contains(DOCKER), "{lapse:?}");
    assert!(lapse.hint.contains("docker-credential-desktop"), "{lapse:?}");
    home.write(DOCKER, json!({ "auths": { "q.io": auth("docker") } }).to_string());
    let search = home.search();
    assert_eq!(user(&search, "q.io/x").unwrap().unwrap(), "docker");
    assert_eq!(search.lapse(&name), None);
    for name in ["../bin/x", "-x", "/bin/sh"] {
        home.write(DOCKER, json!({ "credHelpers": { "q.io": name } }).to_string());
        let error = user(&home.search(), "q.io/x").unwrap_err().to_string();
        assert!(error.contains(DOCKER) && error.contains(name), "{error}");
    }
}

#[test]
fn a_file_that_can_be_read_once_is_enough() {
    let home = Home::new();
    let pipe = home.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let search = Search::new(Some(&pipe), &home.environment);
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, file("q.io", "anna")).unwrap()
    });
    for name in ["q.io/x", "q.io/y"] {
        assert_eq!(user(&search, name).unwrap().as_deref(), Some("anna"));
    }
    writer.join().unwrap();
}
