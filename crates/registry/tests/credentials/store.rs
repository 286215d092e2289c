//! What a login leaves, and what a logout does not.

use std::os::unix::fs::PermissionsExt;

use banger_registry::credentials::Place;
use serde_json::json;

use crate::home::{DOCKER, Home, PODMAN, auth, file};

#[test]
fn a_login_is_found_again_and_a_logout_ends_it() {
    for host in ["docker.io", "q.io", "localhost:5000", "[::1]:5000"] {
        let home = Home::new();
        let store = home.store(None);
        let name = format!("{host}/team/app");
        assert_eq!(store.erase(host).unwrap(), []);
        let stored = store.save(host, "anna", "se:cret").unwrap();
        assert_eq!((stored.place, stored.hidden_by), (Place::File(home.path(DOCKER)), None));
        assert_eq!(home.user(&name).as_deref(), Some("anna"));
        let mode = home.path(DOCKER).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        store.save(host, "berta", "secret").unwrap();
        assert_eq!(home.user(&name).as_deref(), Some("berta"));
        assert_eq!(store.erase(host).unwrap().len(), 1);
        assert_eq!(home.user(&name), None);
        assert_eq!(home.json(DOCKER), json!({ "auths": {} }));
        assert_eq!(store.erase(host).unwrap(), []);
    }
}

/// Docker looks for Docker Hub under one key only.
#[test]
fn a_login_to_docker_hub_is_where_docker_looks() {
    let home = Home::new();
    home.write(DOCKER, file("docker.io", "old"));
    home.store(None).save("docker.io", "anna", "secret").unwrap();
    assert_eq!(home.json(DOCKER), json!({ "auths": { "https://index.docker.io/v1/": auth("anna") } }));
}

#[test]
fn what_belongs_to_others_stays() {
    let home = Home::new();
    let others = json!({ "HttpHeaders": { "X": "y" }, "auths": { "r.io": auth("other"), "q.io/team": auth("team") } });
    home.write(DOCKER, others.to_string());
    home.store(None).save("q.io", "anna", "secret").unwrap();
    let mut expected = others.clone();
    expected["auths"]["q.io"] = auth("anna");
    assert_eq!(home.json(DOCKER), expected);
    assert_eq!(home.store(None).erase("r.io").unwrap().len(), 1);
    assert_eq!(home.json(DOCKER)["HttpHeaders"], json!({ "X": "y" }));
    assert_eq!(home.user("q.io/team/app").as_deref(), Some("team"));
}

#[test]
fn a_named_file_is_the_one_that_is_written() {
    let mut home = Home::new();
    home.environment.registry_auth_file = Some(home.path("variable").into());
    home.store(None).save("q.io", "anna", "secret").unwrap();
    let flag = home.path("new/flag");
    home.store(Some(&flag)).save("q.io", "berta", "secret").unwrap();
    assert_eq!(home.json("variable"), json!({ "auths": { "q.io": auth("anna") } }));
    assert_eq!(home.json("new/flag"), json!({ "auths": { "q.io": auth("berta") } }));
    assert!(!home.path(DOCKER).exists());

    home.store(Some(&flag)).erase("q.io").unwrap();
    assert_eq!(home.user("q.io/x").as_deref(), Some("anna"));
    let missing = home.path("missing");
    let error = home.store(Some(&missing)).erase("q.io").unwrap_err().to_string();
    assert!(error.contains("/missing: "), "{error}");
}

#[test]
fn helpers_keep_logins_where_they_are_named() {
    for config in [json!({ "credsStore": "one" }), json!({ "credHelpers": { "q.io": "one" } })] {
        let home = Home::new();
        home.helper("one");
        home.write(DOCKER, config.to_string());
        let stored = home.store(None).save("q.io", "anna", "secret").unwrap();
        let place = Place::Helper { program: "docker-credential-one".to_owned(), file: home.path(DOCKER) };
        assert_eq!(stored.place, place);
        let written = home.json(DOCKER);
        assert_eq!(written["auths"], json!({ "q.io": {} }));
        assert_eq!(home.json("kept/q.io"), json!({ "ServerURL": "q.io", "Username": "anna", "Secret": "secret" }));
        assert_eq!(home.user("q.io/x").as_deref(), Some("anna"));

        assert_eq!(home.store(None).erase("q.io").unwrap(), [("q.io".to_owned(), place)]);
        assert_eq!(home.user("q.io/x"), None);
        assert_eq!(home.json(DOCKER)["auths"], json!({}));
        assert_eq!(home.store(None).erase("q.io").unwrap(), []);
    }
}

#[test]
fn helpers_know_docker_hub_by_dockers_name() {
    let home = Home::new();
    home.helper("one");
    home.write(DOCKER, json!({ "credsStore": "one" }).to_string());
    home.store(None).save("docker.io", "anna", "secret").unwrap();
    assert_eq!(home.asked(), ["store https://index.docker.io/v1/"]);
    assert_eq!(home.user("debian").as_deref(), Some("anna"));
    // Podman's name for it.
    home.keep("docker.io", "berta", "secret");
    let forgotten = home.store(None).erase("docker.io").unwrap();
    let names: Vec<_> = forgotten.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["docker.io", "https://index.docker.io/v1/"]);
    assert_eq!(home.user("debian"), None);
}

/// A registry whose helper is the empty name keeps its password in the file, whatever keeps the others.
#[test]
fn a_registry_can_be_kept_from_the_helper() {
    let home = Home::new();
    home.write(DOCKER, json!({ "credHelpers": { "q.io": "" }, "credsStore": "nosuch" }).to_string());
    let stored = home.store(None).save("q.io", "anna", "secret").unwrap();
    assert_eq!(stored.place, Place::File(home.path(DOCKER)));
    assert_eq!(home.user("q.io/x").as_deref(), Some("anna"));
}

#[test]
fn a_helper_that_fails_leaves_the_file_alone() {
    let home = Home::new();
    let config = json!({ "credsStore": "nosuch", "auths": { "q.io": {} } });
    home.write(DOCKER, config.to_string());
    for host in ["q.io", "r.io"] {
        let error = home.store(None).save(host, "anna", "secret").unwrap_err().to_string();
        assert!(error.contains("docker-credential-nosuch"), "{error}");
    }
    home.store(None).erase("q.io").unwrap_err();
    assert_eq!(home.json(DOCKER), config);
}

#[test]
fn a_logout_is_from_every_place_and_every_namespace() {
    let home = Home::new();
    home.write(
        PODMAN,
        json!({ "auths": { "q.io": auth("a"), "q.io/team": auth("b"), "r.io": auth("c") } }).to_string(),
    );
    home.write(DOCKER, file("https://q.io", "d"));
    let forgotten = home.store(None).erase("q.io").unwrap();
    let expected = [("q.io", PODMAN), ("q.io/team", PODMAN), ("https://q.io", DOCKER)];
    assert_eq!(forgotten, expected.map(|(name, file)| (name.to_owned(), Place::File(home.path(file)))));
    assert_eq!(home.json(PODMAN), json!({ "auths": { "r.io": auth("c") } }));
    assert_eq!(home.json(DOCKER), json!({ "auths": {} }));
}

#[test]
fn a_logout_from_all_knows_what_the_files_name() {
    let home = Home::new();
    home.helper("one");
    home.helper("two");
    for server in ["q.io", "s.io", "stranger.io"] {
        home.keep(server, "kept", "secret");
    }
    home.write(PODMAN, file("r.io/team", "team"));
    let config =
        json!({ "auths": { "q.io": {}, "t.io": auth("t") }, "credHelpers": { "s.io": "two" }, "credsStore": "one" });
    home.write(DOCKER, config.to_string());
    let forgotten = home.store(None).erase_all().unwrap();
    let names: Vec<_> = forgotten.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["r.io/team", "s.io", "q.io", "t.io"]);
    for name in ["q.io/x", "r.io/team/x", "s.io/x", "t.io/x"] {
        assert_eq!(home.user(name), None);
    }
    assert!(home.path("kept/stranger.io").exists());
    assert_eq!(home.json(DOCKER)["credHelpers"], json!({ "s.io": "two" }));
}

#[test]
fn an_entry_that_nobody_understands_can_be_logged_out_of() {
    let home = Home::new();
    home.write(DOCKER, json!({ "auths": { "q.io": { "auth": "%%%" } } }).to_string());
    assert_eq!(home.store(None).erase("q.io").unwrap().len(), 1);
    assert_eq!(home.user("q.io/x"), None);
}

#[test]
fn a_login_that_will_not_be_used_is_said_to_be_so() {
    let home = Home::new();
    home.write(PODMAN, file("q.io", "podman"));
    let stored = home.store(None).save("q.io", "anna", "secret").unwrap();
    assert_eq!(stored.hidden_by, Some(home.path(PODMAN)));
    assert_eq!(home.store(None).save("r.io", "anna", "secret").unwrap().hidden_by, None);
}

#[test]
fn a_name_with_a_colon_cannot_be_kept() {
    let home = Home::new();
    for name in ["", "a:b", "a\nb", "a\0"] {
        home.store(None).save("q.io", name, "secret").unwrap_err();
    }
    assert!(!home.path(DOCKER).exists());
}
