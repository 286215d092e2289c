//! Certificates of an authority that nobody but the tests knows.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::args;
use crate::support::judge::ask;
use crate::support::scratch;

/// An authority, and a server's certificate signed by it.
pub(crate) struct Authority {
    scratch: TempDir,
}

impl Authority {
    /// An authority that has signed a certificate for a server of this name.
    pub(crate) fn for_server(name: &str) -> Self {
        let authority = Self { scratch: scratch() };
        authority.sign("ca", "the tests' authority", &[]);
        let [ca, ca_key] = ["ca.pem", "ca.key"].map(|name| authority.path(name).display().to_string());
        let alternatives = format!("subjectAltName=DNS:{name}");
        let by =
            ["-CA", &ca, "-CAkey", &ca_key, "-addext", &alternatives, "-addext", "basicConstraints=critical,CA:FALSE"];
        authority.sign("server", name, &by);
        authority
    }

    fn sign(&self, file: &str, name: &str, options: &[&str]) {
        let mut arguments = args!["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"].to_vec();
        arguments.extend(args!["-nodes", "-days", "30", "-subj", format!("/CN={name}")]);
        arguments.extend(args![
            "-keyout",
            self.path(&format!("{file}.key")),
            "-out",
            self.path(&format!("{file}.pem"))
        ]);
        arguments.extend(options.iter().map(Into::into));
        ask("openssl", arguments).ok();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What has to be trusted, as `--ca` takes it.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The server's certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("server.pem")
    }

    /// The server's key.
    pub(crate) fn key(&self) -> PathBuf {
        self.path("server.key")
    }
}
