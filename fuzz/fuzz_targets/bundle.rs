#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| banger_fuzz::bundle::check(data));
