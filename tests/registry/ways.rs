//! Mirrors and proxies: by what ways a blob comes.

use super::{IMAGE, Sample};
use crate::judges;
use crate::support::registry::http::Server;
use crate::support::registry::{Answer, Content, Proxy, User};

/// A user for whom the upstream has these mirrors.
fn with_mirrors(upstream: &Server, mirrors: &str) -> User {
    let user = User::new();
    user.configure(&format!("[registry.\"{}\"]\nmirrors = [{mirrors}]\n", upstream.host()));
    user
}

/// A server that is out of order.
fn broken(status: u16) -> Server {
    Server::start(move |_| Answer::error(status, "UNAVAILABLE", "out of order"))
}

/// How many requests for manifests by tag a server has had, and how many for blobs.
fn counts(server: &Server) -> (usize, usize) {
    let requests = server.requests();
    let tags = requests.iter().filter(|request| request.manifest().is_some_and(|name| !name.contains(':'))).count();
    (tags, server.blobs().len())
}

#[test]
fn mirrors_are_asked_first_and_in_order() {
    judges!("cmp");
    let sample = Sample::small();
    let blobs = sample.content.blobs_of("latest").len();
    let serve = || sample.content.clone().serve();
    // Both work: the first serves all.
    let (upstream, first, second) = (serve(), serve(), serve());
    let user = with_mirrors(&upstream, &format!("{:?}, {:?}", first.host(), second.host()));
    sample.check(&user, &upstream.reference(IMAGE), &[]);
    assert_eq!([&first, &second, &upstream].map(|server| server.blobs().len()), [blobs, 0, 0]);
    assert_eq!(upstream.requests().len(), 0, "{:#?}", upstream.requests());

    // The first is out of order in one way or another: the second serves.
    for status in [404, 401, 403, 500, 503] {
        let (upstream, first, second) = (serve(), broken(status), serve());
        let user = with_mirrors(&upstream, &format!("{:?}, {:?}", first.host(), second.host()));
        sample.check(&user, &upstream.reference(IMAGE), &[]);
        assert_eq!([&second, &upstream].map(|server| server.blobs().len()), [blobs, 0], "{status}");
        assert!(!first.requests().is_empty(), "{status}");
    }

    // Nobody is there: the upstream serves. What is there has the manifest alone: the same for the blobs.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let upstream = serve();
    let empty = sample
        .content
        .clone()
        .serve_with(|request| request.blob().map(|_| Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry")));
    let user = with_mirrors(&upstream, &format!("{gone:?}, {:?}", empty.host()));
    sample.check(&user, &upstream.reference(IMAGE), &[]);
    assert_eq!(counts(&upstream), (0, blobs));
}

/// The name of the image is the upstream's, wherever it came from.
#[test]
fn a_mirror_is_not_part_of_the_name() {
    let sample = Sample::small();
    let (upstream, mirror) = (sample.content.clone().serve(), sample.content.clone().serve());
    let user = with_mirrors(&upstream, &format!("{:?}", mirror.host()));
    let reference = upstream.reference(IMAGE);
    user.fetch(&reference, &[]).ok();
    user.run(["cache", "ls"]).ok().says(&reference);
    drop((upstream, mirror));
    sample.check(&user, &reference, &["--offline"]);
}

/// A mirror that lags behind does not say what a tag means, but has what the digest names.
#[test]
fn a_mirror_for_digests_alone() {
    judges!("cmp");
    let sample = Sample::small();
    let old = Sample::of([crate::support::Tar::new().file("old", "old")]);
    let upstream = sample.content.clone().serve();
    // By the tag it has another image; by digest it has them all.
    let stale = old.content.clone();
    let mut current = sample.content.clone();
    current.add(&old.content, "latest", "old");
    let mirror = Server::start(move |request| {
        let is_stale = request.manifest() == Some("latest");
        if is_stale { stale.answer(request) } else { current.answer(request) }
    });
    let user = with_mirrors(&upstream, &format!("{{ location = {:?}, tags = false }}", mirror.host()));
    sample.check(&user, &upstream.reference(IMAGE), &[]);
    let blobs = sample.content.blobs_of("latest").len();
    assert_eq!((counts(&mirror), counts(&upstream).1), ((0, blobs), 0));
    // One that may, does.
    let trusting = with_mirrors(&upstream, &format!("{:?}", mirror.host()));
    trusting.build(&upstream.reference(IMAGE), "image", &[]).ok();
    old.assert_built(&trusting.path("image"));
}

/// What a mirror sends is checked as anything else; when it is wrong, the next has it right.
#[test]
fn a_mirror_that_lies() {
    judges!("cmp");
    let sample = Sample::small();
    let upstream = sample.content.clone().serve();
    for wrong in sample.content.blobs_of("latest") {
        let mut bytes = sample.content.bytes(&wrong).to_owned();
        bytes[20] ^= 1;
        let mirror = sample.content.clone().serve_with({
            let wrong = wrong.clone();
            move |request| (request.blob() == Some(&wrong)).then(|| Answer::new(200, bytes.clone()))
        });
        let user = with_mirrors(&upstream, &format!("{:?}", mirror.host()));
        sample.check(&user, &upstream.reference(IMAGE), &[]).says("sent something else than was asked for");
        user.fetch(&upstream.reference(IMAGE), &["--offline"]).ok();
        crate::support::registry::user::assert_sound(&user.cache());
    }
}

#[test]
fn a_mirror_with_a_path() {
    judges!("cmp");
    let sample = Sample::small();
    let upstream = sample.content.clone().serve();
    let mirror = sample.content.clone().serve();
    let user = with_mirrors(&upstream, &format!("{:?}", format!("{}/proxy/cache", mirror.host())));
    sample.check(&user, &upstream.reference(IMAGE), &[]);
    assert!(mirror.requests().iter().all(|request| {
        matches!(request.path(), "/v2/" | "/v2") || request.path().starts_with("/v2/proxy/cache/some/image/")
    }));
    assert_eq!(upstream.requests().len(), 0);
}

/// Credentials are the upstream's, or the mirror's, and neither is told the other's.
#[test]
fn a_mirror_is_not_told_the_password_of_the_upstream() {
    let sample = Sample::small();
    let challenge = |request: &crate::support::registry::Request| {
        let refusal = Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        request.header("authorization").is_none().then_some(refusal)
    };
    let upstream = sample.content.clone().serve_with(challenge);
    let mirror = sample.content.clone().serve_with(challenge);
    let user = with_mirrors(&upstream, &format!("{:?}", mirror.host()));
    user.write(
        ".docker/config.json",
        serde_json::json!({ "auths": { upstream.host(): { "auth": "dXBzdHJlYW06c2VjcmV0" } } }).to_string(),
    );
    sample.check(&user, &upstream.reference(IMAGE), &[]);
    assert!(mirror.requests().iter().all(|request| request.header("authorization").is_none()));
    assert!(upstream.requests().iter().any(|request| request.header("authorization").is_some()));
}

#[test]
fn a_proxy_is_used_for_what_is_not_exempt() {
    judges!("cmp");
    let sample = Sample::small();
    let server = sample.content.clone().serve();
    let host = server.host();
    let insecure = ["--insecure", "registry.test:8080"];
    let reference = format!("registry.test:8080/{IMAGE}");
    for (http, https) in [("HTTP_PROXY", "HTTPS_PROXY"), ("http_proxy", "https_proxy")] {
        let proxy = Proxy::start(&[("registry.test:8080", &host)]);
        let user = User::new().with(http, proxy.url()).with(https, proxy.url());
        sample.check(&user, &reference, &insecure);
        assert_eq!(proxy.asked(), ["registry.test:8080"]);
        // A host that may be spoken to without TLS has to be named.
        let user = User::new().with(http, proxy.url()).with(https, proxy.url());
        user.build(&reference, "image", &[]).expect(5).says("registry.test:8080");
    }
    // Exempt: it is looked for where it is not.
    for no_proxy in ["registry.test", ".test", "other.example,registry.test:8080", "*"] {
        let proxy = Proxy::start(&[("registry.test:8080", &host)]);
        let user = User::new().behind(&proxy).with("NO_PROXY", no_proxy);
        user.build(&reference, "image", &insecure).expect(5);
        assert_eq!(proxy.asked(), Vec::<String>::new(), "NO_PROXY={no_proxy}");
    }
    for no_proxy in ["", "other.test", "gistry.test"] {
        let proxy = Proxy::start(&[("registry.test:8080", &host)]);
        let user = User::new().behind(&proxy).with("NO_PROXY", no_proxy);
        sample.check(&user, &reference, &insecure);
    }
    let proxy = Proxy::start(&[]);
    let user = User::new().behind(&proxy).with("NO_PROXY", "127.0.0.1");
    sample.check(&user, &server.reference(IMAGE), &[]);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn a_proxy_that_is_not_there() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://user:secret@{gone}");
    let user = User::new().with("HTTPS_PROXY", &url).with("HTTP_PROXY", &url);
    let run = user.build("registry.test/some/image", "image", &[]).expect(5).says("registry.test");
    assert!(!run.stderr().contains("secret"), "{run}");
}

/// Docker Hub is not where its name says.
#[test]
fn docker_hub_is_asked_at_its_own_address() {
    judges!("docker-registry", "skopeo", "openssl", "cmp");
    use crate::support::registry::tls::Authority;
    let sample = Sample::small();
    let authority = Authority::for_server("registry-1.docker.io");
    let registry = crate::support::registry::Debian::with_tls(&authority);
    registry.push(&sample.layout, "latest", "library/small");
    let proxy = Proxy::start(&[("registry-1.docker.io:443", &registry.host())]);
    let ca = authority.trusted().display().to_string();
    for reference in ["small", "library/small", "docker.io/library/small:latest", "docker://small"] {
        let user = User::new().behind(&proxy);
        sample.check(&user, reference, &["--ca", &ca]).says("docker.io/library/small:latest");
    }
    assert_eq!(proxy.asked(), ["registry-1.docker.io:443"]);
}

#[test]
fn settings_that_cannot_be_used() {
    let content = Content::default();
    let server = content.serve();
    for (config, said) in [
        ("[registry.\"HOST\"]\nmirrros = [\"a\"]\n", "mirrors"),
        ("[registry.\"HOST\"]\ninsecure = 1\n", "insecure"),
        ("[registry.\"HOST\"]\njobs = 0\n", "jobs"),
        ("[registry.\"HOST\"]\ntimeout = -1\n", "timeout"),
        ("[registri.\"HOST\"]\n", "registry"),
        ("[registry.\"HOST\"\n", "config.toml"),
        ("[registry.\"HOST\"]\nmirrors = [{ location = \"a\", tag = true }]\n", "tags"),
    ] {
        let user = User::new();
        user.configure(&config.replace("HOST", &server.host()));
        let run = user.fetch(&server.reference(IMAGE), &[]).expect(2).says(said);
        assert!(run.stderr().contains("config.toml"), "{run}");
    }
    // Certificates are read when they are needed first.
    let user = User::new().behind(&Proxy::start(&[]));
    user.configure("[registry.\"registry.test\"]\nca = \"/nosuch/ca.pem\"\n");
    user.fetch("registry.test/some/image", &[]).expect(2).says("/nosuch/ca.pem");
    let user = User::new();
    let config = user.write("elsewhere.toml", "nonsense = 1").display().to_string();
    user.fetch(&server.reference(IMAGE), &["--config", &config]).expect(2).says(&config);
    let missing = user.path("missing.toml").display().to_string();
    user.fetch(&server.reference(IMAGE), &["--config", &missing]).expect(3).says(&missing);
    assert_eq!(server.requests().len(), 0);
}
