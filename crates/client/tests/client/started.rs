//! Daemons that are started when they are needed.

use std::path::{Path, PathBuf};

use banger_api::Service;
use banger_api::image::PullImage;
use banger_client::{Client, Daemon, StartError};

use super::{Running, Witness, program, wait_until};

/// Ends the daemons that were started in a directory.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("run/bangerd.sock")
    }

    fn daemon(&self, version: &str) -> Daemon {
        let socket = self.socket();
        Daemon {
            arguments: vec![socket.clone().into(), "--version".into(), version.into()],
            socket,
            program: program(),
            log: self.0.path().join("state/bangerd.log"),
            version: version.to_owned(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(client) = Client::connect(&self.socket()) {
            let _ = client.stop(true);
        }
    }
}

fn pid(client: &Client) -> u32 {
    client.system_info().unwrap().pid.unwrap()
}

#[test]
fn of_ten_who_want_one_at_once_one_starts_it() {
    let place = Place::new();
    let daemon = place.daemon("1");
    let pids: Vec<u32> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..10).map(|_| scope.spawn(|| daemon.ensure().unwrap())).collect();
        asked.into_iter().map(|asked| pid(&asked.join().unwrap().client)).collect()
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_eq!(std::fs::read_to_string(&daemon.log).unwrap().lines().collect::<Vec<_>>(), ["bangerd: listening"]);
    assert_eq!(pid(&daemon.ensure().unwrap().client), pids[0]);
}

#[test]
fn one_of_another_version_is_replaced_when_it_has_nothing_to_do() {
    let place = Place::new();
    let old = place.daemon("1").ensure().unwrap();
    let before = pid(&old.client);
    let new = place.daemon("2").ensure().unwrap();
    assert_eq!((new.client.system_info().unwrap().version.as_str(), &new.warning), ("2", &None));
    assert_ne!(pid(&new.client), before);
}

#[test]
fn one_of_another_version_that_has_jobs_is_left_alone() {
    let place = Place::new();
    let old = place.daemon("1").ensure().unwrap();
    let pull = PullImage { source: "until:/never/there".into(), name: Some("a".into()), ..PullImage::default() };
    let (witness, observer) = Witness::new();
    std::thread::scope(|scope| {
        let pulling = scope.spawn(|| old.client.image_pull(&pull, &observer));
        wait_until("a job", || !old.client.jobs().unwrap().is_empty());
        let same = place.daemon("2").ensure().unwrap();
        assert_eq!(pid(&same.client), pid(&old.client));
        assert_eq!(same.warning.as_deref(), Some("the daemon is of version 1, this program of 2"));
        witness.cancel();
        pulling.join().unwrap().unwrap_err();
    });
}

#[test]
fn one_that_was_killed_is_replaced() {
    let place = Place::new();
    let socket = place.socket();
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    std::fs::set_permissions(socket.parent().unwrap(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    drop(Running::start(&socket, &[]));
    assert!(socket.exists());
    place.daemon("1").ensure().unwrap();
}

#[test]
fn one_that_does_not_start_says_why() {
    let place = Place::new();
    let daemon = Daemon { arguments: vec!["/proc/none/s".into()], ..place.daemon("1") };
    let Err(StartError::Failed { how, log, .. }) = daemon.ensure() else { panic!("it has started") };
    assert_eq!(how, "ended with exit status: 1");
    assert!(log.starts_with("error: cannot create /proc/none"), "{log}");
    let daemon = Daemon { program: "/nowhere/bangerd".into(), ..place.daemon("1") };
    let problem = banger_api::Problem::from(daemon.ensure().unwrap_err());
    assert_eq!(problem.message, "cannot start /nowhere/bangerd");
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn a_long_path_is_no_hindrance() {
    let place = Place::new();
    let socket = place.0.path().join("x".repeat(100)).join("y".repeat(100)).join("bangerd.sock");
    let daemon = Daemon { arguments: vec![socket.clone().into()], socket: socket.clone(), ..place.daemon("1") };
    let ensured = daemon.ensure().unwrap();
    ensured.client.stop(true).unwrap();
    wait_until("the end of the daemon", || !socket.exists());
}
