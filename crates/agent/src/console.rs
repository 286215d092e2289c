//! Messages on the console, each a line that begins with `banger:`.

use std::io::Write;

/// Says something on the console: where there is none, nobody can be told.
pub fn say(message: &str) {
    // One write, so that it is one line among what others write.
    let line = format!("banger: {message}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
