//! Extended headers: PAX, and GNU's long names.

use tar_core::Header;

use super::{State, TarReader, padding};
use crate::limits;
use crate::tar::{BLOCK, Problem, TarError, header, pax};

/// Kinds of extended headers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extended {
    Pax,
    GlobalPax,
    LongName,
    LongLink,
}

/// The extended headers that stand before an entry. The buffers are kept from one to the next.
#[derive(Default)]
pub(super) struct ExtendedHeaders {
    /// Where the first of them is, if there is one.
    pub(super) offset: Option<u64>,
    pub(super) pax: Vec<u8>,
    pub(super) long_name: Vec<u8>,
    pub(super) long_link: Vec<u8>,
    pub(super) global: Vec<u8>,
}

impl ExtendedHeaders {
    pub(super) fn buffer(&mut self, kind: Extended) -> &mut Vec<u8> {
        match kind {
            Extended::Pax => &mut self.pax,
            Extended::GlobalPax => &mut self.global,
            Extended::LongName => &mut self.long_name,
            Extended::LongLink => &mut self.long_link,
        }
    }

    /// Forgets them: their entry has been read.
    pub(super) fn clear(&mut self) {
        self.offset = None;
        self.pax.clear();
        self.long_name.clear();
        self.long_link.clear();
    }
}

impl TarReader {
    pub(super) fn extended_header(&mut self, kind: Extended, header: &Header) -> Result<(), TarError> {
        let offset = self.offset - BLOCK as u64;
        let size = header::size(header).and_then(|size| {
            if size > limits::EXTENDED_HEADER_BYTES {
                return Err(Problem::ExtendedHeaderTooLarge { size });
            }
            Ok(size)
        });
        let size = size.map_err(|problem| TarError::Archive { offset, problem })?;
        if !matches!(kind, Extended::GlobalPax) {
            self.extended.offset.get_or_insert(offset);
        }
        self.extended.buffer(kind).clear();
        self.content.padding = padding(size);
        self.state = State::Extended(kind, size);
        if size == 0 {
            self.state = State::Header;
        }
        Ok(())
    }

    pub(super) fn extended_complete(&mut self, kind: Extended) -> Result<(), TarError> {
        match kind {
            Extended::Pax => {}
            Extended::GlobalPax => {
                let start = self.offset - self.extended.global.len() as u64;
                pax::check(&self.extended.global).map_err(|problem| TarError::Archive { offset: start, problem })?;
            }
            Extended::LongName | Extended::LongLink => {
                let name = self.extended.buffer(kind);
                let length = name.iter().position(|&byte| byte == 0);
                name.truncate(length.unwrap_or(name.len()));
            }
        }
        self.skip(0, self.content.padding);
        Ok(())
    }
}
