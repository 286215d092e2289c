//! `banger kernel pull debian`: Debian's kernel by apt, from a repository that apt really reads; without apt, from banger's own catalog.

use serde_json::Value;

use crate::args;
use crate::judges;
use crate::support::debian::Repository;
use crate::support::layout::host_platform;
use crate::support::scratch::names;
use crate::support::{Managed, Run};

/// Somebody whose machine has apt, and no other source of packages than this repository.
fn on_debian(repository: &Repository) -> Managed {
    let mut managed = Managed::new();
    let path = std::env::var("PATH").unwrap();
    managed.user = managed.user.with("PATH", path).with("APT_CONFIG", repository.config().to_str().unwrap());
    managed
}

fn repository() -> (tempfile::TempDir, Repository) {
    let directory = tempfile::tempdir().unwrap();
    // apt leaves root behind for what it fetches, and that user must get there.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    let repository = Repository::new(directory.path().join("debian"));
    (directory, repository)
}

#[track_caller]
fn kernels(managed: &Managed) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    managed.json(["kernel", "ls"]).iter().map(|kernel| (text(&kernel["name"]), text(&kernel["version"]))).collect()
}

#[test]
fn apt_gets_all_packages_of_the_newest_kernel() {
    judges!("apt-get", "dpkg-deb");
    let (_directory, repository) = repository();
    let version = repository.kernel("7.0.1");
    let name = format!("linux-{}", version.replace('+', "-"));
    let managed = on_debian(&repository);
    // The system has no lists yet: current ones are fetched into the cache, whoever asks.
    let run = managed.run(["kernel", "pull", "debian"]).ok().says("lists of packages, by apt");
    run.says("in 4 packages").says(&format!("{name}: Linux {version}"));
    assert_eq!(kernels(&managed), [(name.clone(), version.clone())]);
    let kernel = managed.json(["kernel", "show", &name]).remove(0);
    assert_eq!(kernel["format"].as_str().unwrap(), if cfg!(target_arch = "aarch64") { "image" } else { "bzimage" });
    let modules = std::path::PathBuf::from(kernel["modules"].as_str().unwrap());
    assert!(modules.join("kernel/a.ko").is_file() && modules.join("modules.builtin").is_file());
    assert!(kernel["source"].as_str().unwrap().starts_with(&format!("apt:linux-image-{version}")), "{kernel}");
    assert_eq!(names(&repository.config().parent().unwrap().join("lists")), ["partial"], "the system's are as before");
    managed.assert_sound();

    // The same again is here; what is named otherwise is fetched; a newer one comes beside it.
    assert_eq!(managed.run(["kernel", "pull", "debian", "--quiet"]).ok().stdout(), format!("{name}\n"));
    let other = managed.run(["kernel", "pull", "debian", "--name", "mine", "--quiet"]).ok();
    assert_eq!(other.stdout(), "mine\n");
    managed.run(["kernel", "pull", "debian", "--name", "mine"]).expect(1).says("already");
    let newer = repository.kernel("7.0.10");
    managed.run(["kernel", "pull", "debian"]).ok().says(&newer);
    assert_eq!(kernels(&managed).len(), 3);
    managed.assert_sound();
}

#[test]
fn the_lists_of_the_system_are_used_unless_they_are_old() {
    judges!("apt-get", "dpkg-deb");
    let (_directory, repository) = repository();
    let old = repository.old_kernel("6.1.5");
    repository.update();
    let managed = on_debian(&repository);
    let run = managed.run(["kernel", "pull", "debian"]).ok().says(&old);
    assert!(!run.stderr().contains("lists of packages"), "{run}");
    // The flavour for virtual machines goes before the other; and what the mirror has by now before what it had.
    repository.remove("linux-image-6.1.5");
    managed.run(["kernel", "rm", &format!("linux-{old}")]).ok();
    let new = repository.kernel("6.20.1");
    let run = managed.run(["kernel", "pull", "debian"]).ok();
    let run = run.says("lists of packages, by apt").says(&new);
    assert!(run.stderr().contains(&old), "the old one was tried: {run}");
    managed.assert_sound();
}

#[test]
fn what_apt_cannot_do_is_told_in_its_words() {
    judges!("apt-get", "dpkg-deb");
    let (_directory, repository) = repository();
    let version = repository.kernel("7.0.1");
    let managed = on_debian(&repository);
    repository.remove(&format!("linux-modules-{version}"));
    let run = managed.run(["kernel", "pull", "debian"]).expect(1);
    let run = run
        .says("error: apt cannot download the packages")
        .says("caused by: ")
        .says(&format!("linux-modules-{version}"));
    run.says("hint: check that `apt-get update` works");
    assert!(kernels(&managed).is_empty());
    managed.assert_sound();
    // A file that is not what the index says is refused by apt.
    let pool = repository.pool();
    let binary = names(&pool).into_iter().find(|name| name.starts_with("linux-binary")).unwrap();
    repository.kernel("7.0.1");
    let mut bytes = std::fs::read(pool.join(&binary)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(pool.join(&binary), bytes).unwrap();
    managed.run(["kernel", "pull", "debian"]).expect(1).says("apt cannot download the packages");
    assert!(kernels(&managed).is_empty());
    managed.assert_sound();
}

/// Without apt it is the entry of banger's own catalog, by an address that stays; a catalog of the settings goes before both.
#[test]
fn without_apt_a_catalog_has_it() {
    let managed = Managed::new();
    let architecture = host_platform().split_once('/').unwrap().1.to_owned();
    let offers = managed.json(["kernel", "ls", "--available"]);
    let offer =
        offers.iter().find(|offer| offer["name"] == "debian" && offer["arch"] == architecture.as_str()).unwrap();
    assert!(offer["url"].as_str().unwrap().starts_with("https://snapshot.debian.org/file/"), "{offer}");
    assert!(offer["size"].as_u64().unwrap() > 10 << 20, "{offer}");
    // Whatever answers there: what it sends is checked, and nothing of it is kept.
    let unreachable = managed.user.with("HTTPS_PROXY", "http://127.0.0.1:1");
    let managed = Managed { user: unreachable };
    managed.run(["kernel", "pull", "debian"]).expect(5).says("snapshot.debian.org");
    assert!(kernels(&managed).is_empty());

    let site = managed.user.path("site");
    std::fs::create_dir(&site).unwrap();
    let directory = managed.user.path("own");
    crate::support::kernel::write(&directory, "5.0.0-own");
    managed.run(args!["kernel", "import", "--from", &directory, "--name", "debian"]).ok();
    managed.run(args!["kernel", "export", "debian", "-o", &site]).ok();
    let archive = names(&site).remove(0);
    managed.run(args!["catalog", "add", site.join("catalog.json"), site.join(archive)]).ok();
    managed.run(["kernel", "rm", "debian"]).ok();
    managed.user.configure(&format!("[[catalog]]\npath = {:?}\n", site.join("catalog.json")));
    let run: Run = managed.run(["kernel", "pull", "debian", "--quiet"]).ok();
    assert_eq!(run.stdout(), "debian\n");
    assert_eq!(kernels(&managed), [("debian".to_owned(), "5.0.0-own".to_owned())]);
    managed.assert_sound();
}
