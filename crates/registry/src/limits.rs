//! Every limit on what a server may send or ask for, in one place, with its reason.

use std::time::Duration;

/// Bytes of a token server's answer: 64 KiB. The largest tokens met have some 4 KiB.
pub const TOKEN_BYTES: u64 = 64 << 10;

/// Bytes of an error's body that are read: 64 KiB. What is behind them nobody wants to know.
pub const ERROR_BYTES: u64 = 64 << 10;

/// Bytes of an answer's header: 64 KiB. Signed addresses and lists of challenges fit in a quarter of that.
pub const HEADER_BYTES: usize = 64 << 10;

/// Redirects that are followed for one request. Registries need one, sometimes two.
pub const REDIRECTS: usize = 10;

/// Challenges of one answer, and parameters of one challenge.
pub const CHALLENGES: usize = 32;

/// Times that a request is made before its failure is believed.
pub const TRIES: u32 = 3;

/// The longest wait that a server may ask for. What wants more is told to whoever asked: it is no longer a hiccup.
pub const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The wait before the second try; it doubles with each further one.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The longest wait that nobody asked for.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// How often it is asked whether work that waits is still wanted: soon enough for whoever has pressed a key.
pub const CANCEL_POLL: Duration = Duration::from_millis(100);

/// Bytes a second that are too few, when it goes on for as long as the server may be silent.
pub const RATE: u64 = 1 << 10;

/// How long a token lives where its server does not say: what the token specification has.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// How long before its end a token is not used any more, so that it does not end on the way.
pub const TOKEN_MARGIN: Duration = Duration::from_secs(5);

/// The age from which on a refused token may have been revoked before its end, as ECR does: then it is renewed.
pub const TOKEN_DOUBT: Duration = Duration::from_secs(60);

/// How long an insecure host may take to agree on TLS before plain HTTP is tried.
pub const INSECURE_CONNECT: Duration = Duration::from_secs(10);

/// How long a mirror that could not be reached is not asked again.
pub const MIRROR_REST: Duration = Duration::from_secs(60);

/// Bytes of a file with certificates. A system's whole bundle has a quarter of a million.
pub const CERTIFICATE_BYTES: u64 = 16 << 20;

/// Bytes of a file with credentials. A mistaken path to something large ends here.
pub const CREDENTIALS_BYTES: u64 = 4 << 20;

/// How long a credential helper may take. Some ask a server of their own; those that wait for a person wait in vain.
pub const HELPER_TIME: Duration = Duration::from_secs(30);

/// Bytes of a helper's answer. Tokens of some clouds have several KiB.
pub const HELPER_BYTES: usize = 1 << 20;

/// Bytes kept of what a helper says on its standard error.
pub const HELPER_COMPLAINT: usize = 4 << 10;

/// Bytes that are read from a connection at once: 256 KiB, above which the copying gets no cheaper.
pub const INPUT_BUFFER: usize = 256 << 10;

/// How long a registry may be silent after a blob has been sent to it: it reads it once more to check it, and may move it
/// to another store.
pub const COMMIT: Duration = Duration::from_secs(300);

/// Bytes from which on a registry is asked whether it takes a body before the body is sent: 64 KiB, which is less than the
/// question costs on a slow line.
pub const EXPECT: u64 = 64 << 10;

/// Bytes of a blob that are sent at once to registries (or to what stands before them) that refuse larger bodies: 16 MiB.
pub const CHUNK: u64 = 16 << 20;

/// Bytes below which no smaller pieces are tried: 1 MiB. What takes less at once is not meant to store images.
pub const CHUNK_LEAST: u64 = 1 << 20;

/// The largest pieces in which a registry may want blobs: 1 GiB. It is the least that it takes at once.
pub const CHUNK_MAX: u64 = 1 << 30;

/// Uploads that are begun for one blob, as the registry has forgotten those before.
pub const UPLOADS: u32 = 3;

/// Characters of a server's words that an error shows.
pub const SHOWN: usize = 240;

/// Tags that are asked for at once. A registry may give fewer.
pub const TAGS_ON_A_PAGE: usize = 1_000;

/// Pages of tags that are asked for: the largest repositories have some ten thousand tags, and registries that give a
/// hundred at once.
pub const TAG_PAGES: usize = 300;
