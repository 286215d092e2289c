//! What is said to do when a registry does not give what was asked for.

use crate::judges;
use crate::support::registry::{Answer, Content, Debian, Proxy, Server, User};
use crate::support::{Layout, Run, Tar, scratch};

fn server() -> Server {
    let scratch = scratch();
    Content::of(Layout::of(scratch.path().join("layout"), [Tar::new().file("x", "x")]).path()).serve()
}

/// The hints of each command that asks a registry, which are the same.
#[track_caller]
fn hints(user: &User, reference: &str, options: &[&str], code: i32) -> Vec<String> {
    let hints = |run: Run| -> Vec<String> {
        let run = run.expect(code);
        run.stderr().lines().filter_map(|line| line.strip_prefix("hint: ")).map(str::to_owned).collect()
    };
    let found = hints(user.fetch(reference, options));
    assert_eq!(hints(user.build(reference, "image", options)), found);
    assert_eq!(hints(user.run(["resolve", reference].iter().chain(options))), found);
    assert!(!user.path("image").exists());
    found
}

#[test]
fn names_that_are_not_there() {
    let server = server();
    let user = User::new();
    let name = format!("{}/some/image", server.host());
    let listed = format!("`banger tags {name}` lists the tags that there are");
    assert_eq!(hints(&user, &server.reference("some/image:nosuch"), &[], 3), [listed]);
    let offline = format!("without --offline it is downloaded from {}", server.host());
    assert_eq!(hints(&user, &server.reference("some/image"), &["--offline"], 3), [offline]);
    let nothing = Content::default().serve();
    let name = format!("{}/some/image", nothing.host());
    let implied = format!("without a tag it is `latest` that is asked for; name another, as in {name}:TAG");
    assert_eq!(hints(&user, &name, &[], 3), [implied]);
}

#[test]
fn who_is_not_let_in_can_log_in() {
    let server = Server::start(|_| {
        Answer::error(401, "UNAUTHORIZED", "who are you?").header("WWW-Authenticate", "Basic realm=\"here\"")
    });
    let user = User::new();
    let reference = server.reference("some/image");
    let found = hints(&user, &reference, &[], 4);
    assert_eq!(found[0], format!("log in with `banger login {}`", server.host()));
    assert!(found[1].starts_with("check the name: "), "{found:?}");
    let found = hints(&user, &reference, &["--creds", "somebody:secret"], 4);
    assert_eq!(found, ["check the user, the password and the name of the repository"]);
}

/// The real registry: what it answers to somebody who speaks TLS says what it is.
#[test]
fn a_registry_without_encryption_must_be_named() {
    judges!("docker-registry");
    let registry = Debian::plain();
    let proxy = Proxy::start(&[("registry.test:8080", &registry.host())]);
    let user = User::new().behind(&proxy);
    let found = hints(&user, "registry.test:8080/some/image", &[], 5);
    assert_eq!(found, ["if registry.test:8080 speaks plain HTTP, --insecure registry.test:8080 allows that"]);
    let found = hints(&user, "registry.test:8080/some/image:1", &["--insecure", "registry.test:8080"], 3);
    assert_eq!(found, ["`banger tags registry.test:8080/some/image` lists the tags that there are"]);
}
