//! Catalogs, bundles and stores that are not what they should be: each has its outcome, and nothing is lost.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::bench::{import, keep, layers, site};
use crate::args;
use crate::judges;
use crate::support::judge::ask;
use crate::support::layout::{host_platform, sha256};
use crate::support::managed::files_of;
use crate::support::registry::{Answer, Server};
use crate::support::scratch::names;
use crate::support::{Managed, Run, Tar};

/// What the embedded catalog has.
const EMBEDDED: [&str; 2] = ["demo", "debian"];

/// Somebody with an image and a kernel, whose catalog is in a directory.
struct Reader {
    managed: Managed,
    site: PathBuf,
}

impl Reader {
    /// The catalog is a file, and offers `web` with the kernel `remote`.
    fn new() -> Self {
        let managed = Managed::new();
        import(&managed, "linux");
        keep(&managed, "kept", layers(1, 1000), &[]);
        let site = site(&managed);
        let reader = Self { managed, site };
        reader.configure("");
        reader
    }

    fn configure(&self, more: &str) {
        let path = self.site.join("catalog.json");
        self.managed.user.configure(&format!("[[catalog]]\npath = \"{}\"\n{more}", path.display()));
    }

    fn catalog(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.site.join("catalog.json")).unwrap()).unwrap()
    }

    fn write(&self, catalog: impl AsRef<[u8]>) {
        std::fs::write(self.site.join("catalog.json"), catalog).unwrap();
    }

    /// A pull of `web` that fails, and leaves what there was.
    #[track_caller]
    fn refused(&self, name: &str, code: i32, said: &str) -> Run {
        let run = self.managed.run(["pull", "web", "--name", "new"]);
        assert_eq!(run.code(), Some(code), "{name}: {run}");
        assert!(run.stderr().contains(said), "{name}: {said:?} is not in what it says: {run}");
        assert!(run.stderr().chars().all(|c| c == '\n' || !c.is_control()), "{name}: not for a terminal: {run}");
        assert_eq!(self.managed.images(), ["kept"], "{name}");
        self.managed.assert_sound();
        run
    }
}

#[test]
fn catalogs_that_are_none() {
    let reader = Reader::new();
    let right = reader.catalog();
    let entry = right["images"][0].clone();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut catalog = right.clone();
        change(&mut catalog);
        catalog.to_string().into_bytes()
    };
    let set = |key: &str, value: Value| with(&|catalog| catalog["images"][0][key] = value.clone());
    let twice = with(&|catalog| catalog["images"] = json!([entry, entry]));
    let text = right.to_string();
    let many: Vec<Value> = (0..20_000)
        .map(|number| {
            let mut entry = entry.clone();
            entry["name"] = json!(format!("n{number}"));
            entry
        })
        .collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("two of a name", twice, "it is there twice"),
        ("a key twice", text.replacen("\"sha256\"", "\"sha256\":\"0\",\"sha256\"", 1).into_bytes(), "sha256"),
        ("an http URL", set("url", json!("http://images.example/web.tar.zst")), "http"),
        ("a URL of another sort", set("url", json!("ftp://images.example/web.tar.zst")), "ftp"),
        ("a URL with a password", set("url", json!("https://me:secret@images.example/x")), "url"),
        ("a digest that is none", set("sha256", json!("../../etc/passwd")), "sha256"),
        ("a digest in upper case", set("sha256", json!("A".repeat(64))), "sha256"),
        ("a size that is none", set("size", json!(-1)), "size"),
        ("an enormous size", set("size", json!(u64::MAX)), "size"),
        ("a name that is none", set("name", json!("../web")), "name"),
        ("control characters", set("description", json!("a\u{1b}[2Jb")), "description"),
        ("another version", with(&|catalog| catalog["version"] = json!(2)), "version 2"),
        ("no version", with(&|catalog| catalog["version"] = Value::Null), "version"),
        ("no JSON", b"<!DOCTYPE html>".to_vec(), "catalog"),
        ("empty", Vec::new(), "catalog"),
        ("a list", b"[]".to_vec(), "catalog"),
        ("deeply nested", "[".repeat(100_000).into_bytes(), "catalog"),
        ("too many entries", with(&|catalog| catalog["images"] = Value::Array(many.clone())), "more than"),
        ("too long", [text.as_bytes(), &vec![b' '; 5 << 20]].concat(), "more than"),
    ];
    for (name, bytes, said) in cases {
        reader.write(&bytes);
        // It is passed over with a warning. Then a registry is asked for the name, unless that is not to be.
        let run = reader.managed.run(["pull", "web", "--name", "new", "--offline"]);
        assert!(matches!(run.code(), Some(3 | 6)), "{name}: {run}");
        assert!(run.stderr().contains(said), "{name}: {said:?} is not in what it says: {run}");
        assert!(run.stderr().chars().all(|c| c == '\n' || !c.is_control()), "{name}: not for a terminal: {run}");
        assert!(run.stderr().len() < 8000, "{name}: too many words: {run}");
        // The others are listed all the same.
        let listed = reader.managed.run(["catalog", "ls", "--quiet"]).ok();
        assert!(listed.stdout().lines().all(|name| EMBEDDED.contains(&name)), "{name}: {listed}");
        assert!(listed.stderr().contains("warning: "), "{name}: {listed}");
        assert_eq!(reader.managed.images(), ["kept"], "{name}");
    }
    reader.write(right.to_string());
    reader.managed.run(["pull", "web", "--name", "new", "--quiet"]).ok();
    reader.managed.assert_sound();
}

/// A catalog of another machine does not name files of this one, nor hosts that nobody may ask without encryption.
#[test]
fn where_a_catalog_may_lead() {
    let reader = Reader::new();
    let mut catalog = reader.catalog();
    for url in ["file:///etc/passwd", "http://169.254.169.254/latest", "builtin:demo", "http://images.example/x"] {
        catalog["images"][0]["url"] = json!(url);
        let bytes = catalog.to_string();
        let server = Server::start(move |_| Answer::new(200, bytes.clone()));
        reader.managed.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host()));
        let run = reader.managed.run(["catalog", "ls", "--quiet"]).ok();
        assert!(run.stdout().lines().all(|name| EMBEDDED.contains(&name)), "{url}: {run}");
        assert!(run.stderr().contains("image \"web\""), "{url}: {run}");
        assert_eq!(server.requests().len(), 1, "{url}");
    }
    // Nor is a catalog itself asked for without encryption.
    reader.managed.user.configure("[[catalog]]\nurl = \"http://images.example/catalog.json\"\n");
    let run = reader.managed.run(["pull", "web", "--name", "new"]);
    assert!(matches!(run.code(), Some(1 | 2)), "{run}");
    assert!(run.stderr().contains("http://images.example"), "{run}");
}

/// A bundle of these bytes, which the catalog describes as they are.
fn offer(reader: &Reader, right: &Value, bytes: &[u8]) {
    let path = reader.site.join("bundle.tar.zst");
    std::fs::write(&path, bytes).unwrap();
    let mut catalog = right.clone();
    catalog["images"][0]["url"] = json!("bundle.tar.zst");
    catalog["images"][0]["sha256"] = json!(sha256(bytes));
    catalog["images"][0]["size"] = json!(bytes.len());
    reader.write(catalog.to_string());
}

fn compressed(tar: Tar) -> Vec<u8> {
    compressed_bytes(&tar.finish())
}

/// By zstd's own program.
fn compressed_bytes(bytes: &[u8]) -> Vec<u8> {
    let scratch = crate::support::scratch();
    let path = scratch.path().join("archive");
    std::fs::write(&path, bytes).unwrap();
    Run::of(Command::new("zstd").args(["--quiet", "--stdout"]).arg(&path)).ok().output.stdout
}

#[test]
fn bundles_that_are_none() {
    judges!("zstd");
    let reader = Reader::new();
    let right = reader.catalog();
    let content = vec![7_u8; 8192];
    let manifest = |size: usize, digest: &str| {
        let rootfs = json!({ "size": size, "sha256": digest });
        json!({ "version": 1, "name": "web", "platform": host_platform(), "rootfs": rootfs }).to_string()
    };
    let good = manifest(content.len(), &sha256(&content));
    let start = || Tar::new().file("manifest.json", &good);
    let whole = || start().file("rootfs.ext4", &content);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("an extra file", compressed(whole().file("extra", "x")), "does not belong there"),
        (
            "an extra directory",
            compressed(Tar::new().directory("x", 0o755).file("manifest.json", &good)),
            "does not belong",
        ),
        ("a second manifest", compressed(whole().file("manifest.json", &good)), "manifest.json"),
        ("two root file systems", compressed(whole().file("rootfs.ext4", &content)), "rootfs.ext4"),
        ("a symlink for rootfs.ext4", compressed(start().symlink("rootfs.ext4", "/etc/passwd")), "symbolic link"),
        ("a hard link for rootfs.ext4", compressed(start().hardlink("rootfs.ext4", "manifest.json")), "hard link"),
        ("a device for rootfs.ext4", compressed(start().entry("rootfs.ext4", b'4', 0o644, "", &[])), "device"),
        (
            "a symlink for manifest.json",
            compressed(Tar::new().symlink("manifest.json", "/etc/passwd")),
            "symbolic link",
        ),
        ("an absolute path", compressed(start().file("/rootfs.ext4", &content)), "rootfs.ext4"),
        ("a path with dots", compressed(start().file("../rootfs.ext4", &content)), "rootfs.ext4"),
        (
            "the other order",
            compressed(Tar::new().file("rootfs.ext4", &content).file("manifest.json", &good)),
            "manifest.json",
        ),
        (
            "more bytes than declared",
            compressed(
                Tar::new().file("manifest.json", manifest(4096, &sha256(&content))).file("rootfs.ext4", &content),
            ),
            "rootfs.ext4",
        ),
        (
            "fewer bytes than declared",
            compressed(
                Tar::new().file("manifest.json", manifest(16_384, &sha256(&content))).file("rootfs.ext4", &content),
            ),
            "rootfs.ext4",
        ),
        (
            "another digest",
            compressed(Tar::new().file("manifest.json", manifest(8192, &sha256(b""))).file("rootfs.ext4", &content)),
            "rootfs.ext4",
        ),
        ("no manifest", compressed(Tar::new()), "manifest.json"),
        ("no root file system", compressed(start()), "rootfs.ext4"),
        (
            "a manifest that is none",
            compressed(Tar::new().file("manifest.json", "{").file("rootfs.ext4", &content)),
            "manifest.json",
        ),
        (
            "something behind the end",
            compressed_bytes(&[whole().finish(), vec![1; 1024]].concat()),
            "end of the bundle",
        ),
        ("no file system", compressed(whole()), "is not an ext4 image"),
        ("a text", b"not a bundle".to_vec(), "bundle"),
        (
            "cut off",
            {
                let all = compressed(whole());
                all[..all.len() / 2].to_vec()
            },
            "bundle",
        ),
    ];
    for (name, bytes, said) in cases {
        offer(&reader, &right, &bytes);
        reader.refused(name, 6, said);
    }
    // Whole, but not what the catalog says of it.
    for (name, bytes) in [("shorter", &b"short"[..]), ("longer", &[1; 1 << 20]), ("other bytes", b"another bundle")] {
        offer(&reader, &right, b"a right bundle");
        std::fs::write(reader.site.join("bundle.tar.zst"), bytes).unwrap();
        reader.refused(name, 6, "bundle.tar.zst");
    }
    std::fs::remove_file(reader.site.join("bundle.tar.zst")).unwrap();
    reader.refused("gone", 3, "bundle.tar.zst");
    let mut catalog = right;
    catalog["images"][0]["arch"] = json!("s390x");
    reader.write(catalog.to_string());
    let run = reader.managed.run(["pull", "web", "--name", "new", "--no-kernel", "--platform", "linux/s390x"]);
    run.expect(6).says("and the catalog says s390x");
    reader.managed.assert_sound();
    assert_eq!(reader.managed.images(), ["kept"]);
}

/// What comes over the network is no other matter, and what did not come to its end is continued.
#[test]
fn a_bundle_that_is_another_one_on_the_server() {
    let reader = Reader::new();
    let entry = reader.catalog()["images"][0].clone();
    let name = entry["url"].as_str().unwrap().to_owned();
    let bytes = std::fs::read(reader.site.join(&name)).unwrap();
    for (what, body, code) in [
        ("other bytes", vec![b'x'; bytes.len()], 6),
        ("a longer one", [&bytes[..], b"more"].concat(), 6),
        ("a page", b"<!DOCTYPE html>".to_vec(), 6),
    ] {
        let (site, name) = (reader.site.clone(), name.clone());
        let server = Server::start(move |request| {
            let path = &request.path()[1..];
            Answer::new(200, if path == name { body.clone() } else { std::fs::read(site.join(path)).unwrap() })
        });
        reader.managed.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host()));
        reader.refused(what, code, &server.host());
    }
    let server = files_of(&reader.site);
    reader.managed.user.configure(&format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\n", server.host()));
    reader.managed.run(["pull", "web", "--name", "new", "--quiet"]).ok();
    reader.managed.assert_sound();
}

/// Keys by minisign's own program, which signs too.
struct Signer {
    directory: PathBuf,
}

impl Signer {
    fn new(directory: PathBuf) -> Self {
        std::fs::create_dir(&directory).unwrap();
        let path = |name: &str| directory.join(name);
        ask("minisign", args!["-G", "-W", "-p", path("key.pub"), "-s", path("key")]).ok();
        Self { directory }
    }

    fn key(&self) -> String {
        let text = std::fs::read_to_string(self.directory.join("key.pub")).unwrap();
        text.lines().nth(1).unwrap().to_owned()
    }

    fn sign(&self, path: &Path) {
        ask("minisign", args!["-S", "-s", self.directory.join("key"), "-m", path]).ok();
    }
}

#[test]
fn signatures() {
    judges!("minisign");
    let reader = Reader::new();
    let [ours, theirs] = ["ours", "theirs"].map(|name| Signer::new(reader.managed.user.path(name)));
    let path = reader.site.join("catalog.json");
    let signature = reader.site.join("catalog.json.minisig");
    let keys = |key: &str| reader.configure(&format!("keys = [\"{key}\"]\n"));
    let not_trusted = |name: &str| reader.refused(name, 6, "is not to be trusted");

    reader.configure("require_signature = true\n");
    let run = reader.managed.run(["pull", "web", "--name", "new"]);
    assert!(matches!(run.code(), Some(1 | 2 | 6)), "{run}");
    assert!(run.stderr().contains("no key is set"), "{run}");
    keys("not a key");
    let run = reader.managed.run(["pull", "web", "--name", "new"]);
    assert!(run.code() != Some(0) && run.stderr().contains("is not a public key of minisign"), "{run}");

    keys(&ours.key());
    not_trusted("without a signature");
    theirs.sign(&path);
    not_trusted("by another key");
    std::fs::write(&signature, "untrusted comment: none\nAAAA\n").unwrap();
    not_trusted("nonsense");
    ours.sign(&path);
    let good = std::fs::read(&signature).unwrap();
    let catalog = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, catalog.replacen("\"version\"", " \"version\"", 1)).unwrap();
    not_trusted("of another document");
    std::fs::write(&path, &catalog).unwrap();
    std::fs::remove_file(&signature).unwrap();
    ask("minisign", args!["-S", "-l", "-s", ours.directory.join("key"), "-m", &path]).ok();
    not_trusted("of the old form");

    std::fs::write(&signature, &good).unwrap();
    // The same through a server, which may lose it.
    let server = files_of(&reader.site);
    let by_server =
        format!("[[catalog]]\nurl = \"http://{}/catalog.json\"\nkeys = [\"{}\"]\n", server.host(), ours.key());
    reader.managed.user.configure(&by_server);
    let listed = reader.managed.json(["catalog", "ls"]);
    assert!(listed.iter().any(|offer| offer["name"] == "web" && offer["signed"] == true), "{listed:?}");
    std::fs::remove_file(&signature).unwrap();
    not_trusted("lost on the server");
    std::fs::write(&signature, &good).unwrap();
    reader.managed.run(["pull", "web", "--name", "new", "--quiet"]).ok();
    reader.managed.assert_sound();
}

#[test]
fn an_image_that_is_damaged() {
    let managed = Managed::new();
    import(&managed, "linux");
    keep(&managed, "fine", layers(1, 1000), &[]);
    for damage in ["truncated", "removed", "all of it removed", "no kernel"] {
        keep_again(&managed, "damaged");
        let image = managed.show("damaged");
        let rootfs = PathBuf::from(image["rootfs"].as_str().unwrap());
        let directory = rootfs.parent().unwrap().to_owned();
        match damage {
            "truncated" => {
                // Somebody who may do anything, or a disk that went wrong.
                let bytes = std::fs::read(&rootfs).unwrap();
                std::fs::remove_file(&rootfs).unwrap();
                std::fs::write(&rootfs, &bytes[..bytes.len() / 2]).unwrap();
            }
            "removed" => std::fs::remove_file(&rootfs).unwrap(),
            "no kernel" => std::fs::remove_file(image["kernel"]["image"].as_str().unwrap()).unwrap(),
            _ => std::fs::remove_dir_all(&directory).unwrap(),
        }
        // It is listed, as what can be removed must be. What would use it says what is wrong.
        assert_eq!(managed.images(), ["damaged", "fine"], "{damage}");
        let output = managed.user.path("out");
        let export = managed.run(args!["image", "export", "damaged", "-o", &output, "--quiet"]);
        assert_ne!(export.code(), Some(0), "{damage}: {export}");
        assert!(export.stderr().contains("damaged"), "{damage}: {export}");
        assert!(!output.exists(), "{damage}");
        // The same again would be the same damaged files: it is made anew, or refused; never shared.
        if damage != "all of it removed" {
            let run = pull_again(&managed, "again").expect(6).says("is damaged");
            assert!(run.stderr().contains("banger image rm damaged"), "{damage}: {run}");
        }
        managed.run(["image", "rm", "damaged", "--quiet"]).ok();
        assert_eq!(managed.images(), ["fine"], "{damage}");
        managed.assert_sound();
    }
    keep_again(&managed, "damaged");
    managed.assert_sound();
}

/// An image that is the same each time.
fn pull_again(managed: &Managed, name: &str) -> Run {
    let layout = crate::support::Layout::of(managed.user.path("layout-again"), layers(4, 1000));
    let source = crate::support::program::source("oci", layout.path());
    managed.run(args!["pull", source, "--name", name, "--size", "64M", "--quiet"])
}

#[track_caller]
fn keep_again(managed: &Managed, name: &str) {
    pull_again(managed, name).ok();
}

#[test]
fn a_database_that_is_damaged() {
    for (damage, code, said) in [
        ("garbage", 6, "is damaged, or is not a database at all"),
        ("half", 6, "banger.db"),
        ("newer", 1, "was made by a newer version of banger"),
        ("something else's", 1, "is not a database of banger's"),
        ("gone", 1, "the database was lost"),
    ] {
        let managed = Managed::new();
        keep(&managed, "kept", layers(1, 1000), &["--no-kernel"]);
        let id = managed.show("kept")["id"].as_str().unwrap().to_owned();
        let database = managed.root().join("banger.db");
        let good = std::fs::read(&database).unwrap();
        let sql = |sql: &str| {
            let mut bytes = good.clone();
            // The header of a database (SQLite's file format, 1.3): the user version and the application's number.
            match sql {
                "user_version" => bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes()),
                _ => bytes[68..72].copy_from_slice(&0x1234_5678_u32.to_be_bytes()),
            }
            bytes
        };
        match damage {
            "garbage" => std::fs::write(&database, vec![b'x'; 8192]).unwrap(),
            "half" => std::fs::write(&database, &good[..good.len() / 2]).unwrap(),
            "newer" => std::fs::write(&database, sql("user_version")).unwrap(),
            "something else's" => std::fs::write(&database, sql("application_id")).unwrap(),
            _ => std::fs::remove_file(&database).unwrap(),
        }
        let damaged = std::fs::read(&database).ok();
        for arguments in
            [&["image", "ls"][..], &["pull", "demo:", "--no-kernel"], &["image", "rm", "kept"], &["prune", "--force"]]
        {
            let run = managed.run(arguments).expect(code).says(said);
            assert!(!run.stderr().contains("panicked"), "{damage}: {run}");
        }
        // Nothing was removed, and nothing written: what can be saved can be saved.
        assert_eq!(names(&managed.root().join("images")), [id.as_str()], "{damage}");
        assert_eq!(std::fs::read(&database).ok(), damaged, "{damage}");
        std::fs::write(&database, &good).unwrap();
        assert_eq!(managed.images(), ["kept"], "{damage}");
        managed.assert_sound();
        // Through a daemon it is said as well.
        std::fs::write(&database, vec![b'x'; 8192]).unwrap();
        let daemon = Managed {
            user: crate::support::registry::User::new().with("BANGER_ROOT", managed.root().to_str().unwrap()),
        };
        daemon.run(["image", "ls"]).expect(1).says("not a database");
    }
}

/// Directories that are somebody else's are not taken for a store, and not tidied up.
#[test]
fn a_directory_of_something_else() {
    let managed = Managed::new();
    let pictures = managed.user.path("pictures");
    std::fs::create_dir_all(pictures.join("images/holidays")).unwrap();
    std::fs::write(pictures.join("images/holidays/sea.jpg"), "sea").unwrap();
    managed.run(args!["image", "ls", "--root", &pictures]).expect(1).says("used for something else");
    assert_eq!(std::fs::read(pictures.join("images/holidays/sea.jpg")).unwrap(), b"sea");
    let file = managed.user.path("file");
    std::fs::write(&file, "x").unwrap();
    let run = managed.run(args!["image", "ls", "--root", &file]);
    assert!(matches!(run.code(), Some(1 | 2)) && run.stderr().contains("error: "), "{run}");
}
