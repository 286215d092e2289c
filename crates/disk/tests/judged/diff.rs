//! Differences between images, judged by models and by what was done to a copy.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};

use banger_disk::diff::{Aspect, Change, Difference, Options, diff};
use banger_disk::{Error, Files, Silent};
use proptest::prelude::*;

use crate::tree::{Inode, Model, Thing, model};
use crate::watcher::Watcher;
use crate::{fixture, judge};

fn differences(before: &Files, after: &Files, options: Options) -> Vec<Difference> {
    let mut all = Vec::new();
    diff(before, after, options, &Silent, &mut |difference| all.push(difference)).unwrap();
    all
}

/// As a line: the path, what became of it, and what differs.
fn line(difference: &Difference) -> String {
    let path = difference.path.escape_ascii();
    format!("{path} {:?} {:?}", difference.change, difference.what)
}

#[test]
fn each_change_is_seen_for_what_it_is() {
    if !judge::present("each_change_is_seen_for_what_it_is", &["mke2fs", "mount", "loop", "cp"]) {
        return;
    }
    let image = fixture::image(None, "64M", &[]);
    let mount = judge::Mount::new(image.path());
    fixture::plant(mount.path(), fixture::PLENTY);
    drop(mount);
    let copy = tempfile::NamedTempFile::new().unwrap();
    judge::run("cp", &[image.path(), copy.path()]);
    let (before, same) = (Files::open(image.path()).unwrap(), Files::open(copy.path()).unwrap());
    assert_eq!(differences(&before, &same, Options { times: true }), []);
    drop(same);

    let mount = judge::Mount::new(copy.path());
    let at = |name: &str| mount.path().join(name);
    fs::set_permissions(at("modes/none"), Permissions::from_mode(0o600)).unwrap();
    lchown(at("modes/all"), Some(1), None).unwrap();
    fs::File::options().write(true).open(at("content/300000 bytes")).unwrap().write_all_at(b"other", 200_000).unwrap();
    // In a hole, and zeros into a hole, which changes nothing.
    fs::File::options().write(true).open(at("content/sparse")).unwrap().write_all_at(b"x", 3 << 20).unwrap();
    fs::File::options().write(true).open(at("content/hole")).unwrap().write_all_at(&[0; 5000], 3 << 20).unwrap();
    fs::write(at("content/4096 bytes"), "less").unwrap();
    fs::remove_file(at("links/absolute")).unwrap();
    symlink("elsewhere", at("links/absolute")).unwrap();
    fs::remove_file(at("links/circle")).unwrap();
    fs::create_dir(at("links/circle")).unwrap();
    fs::write(at("links/circle/in it"), "").unwrap();
    fs::remove_file(at("hard/two")).unwrap();
    fs::remove_dir_all(at("deep/d/d/d")).unwrap();
    rustix::fs::setxattr(at("xattrs/one"), "user.one", b"2", rustix::fs::XattrFlags::empty()).unwrap();
    rustix::fs::removexattr(at("xattrs/acl"), "system.posix_acl_access").unwrap();
    fs::rename(at("special/pipe"), at("special/tube")).unwrap();
    drop(mount);

    let after = Files::open(copy.path()).unwrap();
    let mut found: Vec<String> = differences(&before, &after, Options::default()).iter().map(line).collect();
    let deep = found.extract_if(.., |line| line.starts_with("deep/d/d/d")).collect::<Vec<_>>();
    // The directories below the third, and what is at the bottom.
    assert_eq!(deep.len(), 38 + 1);
    assert!(deep.iter().all(|line| line.ends_with("Removed []")), "{deep:?}");
    assert_eq!(
        found,
        [
            "content/300000 bytes Changed [Content]",
            "content/4096 bytes Changed [Size]",
            "content/sparse Changed [Content]",
            "hard/one Changed [Links]",
            "hard/two Removed []",
            "links/absolute Changed [Target]",
            "links/circle Changed [Kind, Mode]",
            "links/circle/in it Added []",
            "modes/all Changed [Owner]",
            "modes/none Changed [Mode]",
            "special/pipe Removed []",
            "special/tube Added []",
            "three Changed [Links]",
            "xattrs/acl Changed [Attributes]",
            "xattrs/one Changed [Attributes]",
        ]
    );
    let timed = differences(&before, &after, Options { times: true });
    let hole = timed.iter().find(|difference| difference.path == b"content/hole").unwrap();
    assert_eq!(hole.what, [Aspect::Time]);
    assert_eq!(hole.before.as_ref().unwrap().size, 10_000_001);
}

#[test]
fn it_ends_when_somebody_wishes() {
    let directory = tempfile::tempdir().unwrap();
    let root = Inode { thing: Thing::Directory, mode: 0o755, owner: (0, 0), mtime: (0, 0), xattrs: Default::default() };
    let file = |byte| Inode { thing: Thing::File(vec![(Some(byte), 2_000_000)]), ..root.clone() };
    let one = Model { paths: [(vec![], 0), (vec![b"f".to_vec()], 1)].into(), inodes: vec![root.clone(), file(1)] };
    let image = one.image(directory.path(), "one");
    let files = Files::open(&image).unwrap();
    let patient = Watcher::default();
    diff(&files, &files, Options::default(), &patient, &mut |_| ()).unwrap();
    // In the content of the file too.
    assert!(patient.asked() >= 8 + 2);
    for patience in 0..patient.asked() {
        let error =
            diff(&files, &files, Options::default(), &Watcher::with_patience(patience), &mut |_| ()).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "after {patience}");
    }
}

/// What the models say that differs, by comparing everything with everything.
fn expected(before: &Model, after: &Model, times: bool) -> Vec<(Vec<u8>, Change, Vec<Aspect>)> {
    let paths: BTreeSet<_> = before.paths.keys().chain(after.paths.keys()).collect();
    let all = paths.into_iter().map(|path| {
        let (one, other) = (before.paths.get(path), after.paths.get(path));
        let (change, what) = match (one, other) {
            (Some(_), None) => (Change::Removed, Vec::new()),
            (None, _) => (Change::Added, Vec::new()),
            (Some(&one), Some(&other)) => {
                let mut what = of_inodes(&before.inodes[one], &after.inodes[other], times);
                let (one, other) = (before.names(one), after.names(other));
                // A file with one name has no links to compare.
                if (one.len() > 1 || other.len() > 1) && (one.len(), one[0]) != (other.len(), other[0]) {
                    what.push(Aspect::Links);
                }
                what.sort();
                (Change::Changed, what)
            }
        };
        (path.join(&b'/'), change, what)
    });
    all.filter(|(_, change, what)| *change != Change::Changed || !what.is_empty()).collect()
}

fn of_inodes(one: &Inode, other: &Inode, times: bool) -> Vec<Aspect> {
    let kind = std::mem::discriminant(&one.thing) != std::mem::discriminant(&other.thing);
    let (content, other_content) = (one.content(), other.content());
    let mut table = vec![
        (one.mode != other.mode, Aspect::Mode),
        (one.owner != other.owner, Aspect::Owner),
        (one.xattrs != other.xattrs, Aspect::Attributes),
        (times && one.mtime != other.mtime, Aspect::Time),
        (kind, Aspect::Kind),
    ];
    if !kind {
        table.extend([
            (content.len() != other_content.len(), Aspect::Size),
            (content.len() == other_content.len() && content != other_content, Aspect::Content),
            (matches!(one.thing, Thing::Symlink(_)) && one.thing != other.thing, Aspect::Target),
            (matches!(one.thing, Thing::Device(..)) && one.thing != other.thing, Aspect::Device),
        ]);
    }
    table.into_iter().filter(|(differs, _)| *differs).map(|(_, aspect)| aspect).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_differs_is_what_models_differ_in(one in model(), other in model(), times: bool) {
        let directory = tempfile::tempdir().unwrap();
        let before = Files::open(&one.image(directory.path(), "before")).unwrap();
        let after = Files::open(&other.image(directory.path(), "after")).unwrap();
        let found: Vec<_> = differences(&before, &after, Options { times })
            .into_iter()
            .map(|difference| (difference.path, difference.change, difference.what))
            .collect();
        prop_assert_eq!(found, expected(&one, &other, times));
        prop_assert_eq!(differences(&after, &after, Options { times: true }), []);
    }
}
