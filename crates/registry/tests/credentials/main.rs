//! Credentials from files and helpers, and what a login leaves there. What is looked for is in a home of each test's own;
//! the helper is a shell script.

// `cfg(test)` holds for all of this crate; said here, clippy knows that helpers may panic as tests may.
#[cfg(test)]
mod home;
#[cfg(test)]
mod search;
#[cfg(test)]
mod store;
