//! The names of the files of attachments: numbers and hashes, and nothing else.

use std::{fmt::Write, path::PathBuf};

use tombolo_document::attachment::AttachmentId;

/// The directory of uploads that have not ended.
pub(super) const UPLOADS: &str = "uploads";
/// The directory of what is being fetched.
pub(super) const PARTIAL: &str = "partial";

/// Characters of an id in the name of a file.
const HEX_CHARS: usize = 64;

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Content that is being uploaded.
    Upload(u64),
    /// Whole content.
    Content(AttachmentId),
    /// The manifest of whole content.
    Manifest(AttachmentId),
    /// The same, until it is durable.
    StagedManifest(AttachmentId),
    /// Content that is being fetched.
    Part(AttachmentId),
    /// Its manifest.
    PartManifest(AttachmentId),
    /// Which of its chunks are durable.
    PartChunks(AttachmentId),
}

impl Name {
    /// All files that there can be of an attachment; the content last, so that a
    /// removal that is cut short can be told.
    pub(super) const fn all_of(id: AttachmentId) -> [Self; 6] {
        [
            Self::PartChunks(id),
            Self::PartManifest(id),
            Self::Part(id),
            Self::StagedManifest(id),
            Self::Manifest(id),
            Self::Content(id),
        ]
    }

    /// The directory below the one of all attachments.
    pub(super) fn directory(self) -> String {
        match self {
            Self::Upload(_) => UPLOADS.to_owned(),
            Self::Content(id) | Self::Manifest(id) => prefix(id.as_bytes()[0]),
            Self::StagedManifest(_)
            | Self::Part(_)
            | Self::PartManifest(_)
            | Self::PartChunks(_) => PARTIAL.to_owned(),
        }
    }

    fn file(self) -> String {
        match self {
            Self::Upload(number) => number.to_string(),
            Self::Content(id) | Self::Part(id) => hex(id),
            Self::Manifest(id) | Self::PartManifest(id) => hex(id) + ".manifest",
            Self::StagedManifest(id) => hex(id) + ".staged",
            Self::PartChunks(id) => hex(id) + ".chunks",
        }
    }

    /// The path below the directory of all attachments.
    pub(super) fn path(self) -> PathBuf {
        PathBuf::from(self.directory()).join(self.file())
    }
}

/// The directory of all content whose id begins with this byte.
pub(super) fn prefix(first: u8) -> String {
    format!("{first:02x}")
}

fn hex(id: AttachmentId) -> String {
    let mut text = String::with_capacity(HEX_CHARS);
    for byte in id.as_bytes() {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The id of which a file holds content, by its name; `None` for every other file.
pub(super) fn id_of(file: &str) -> Option<AttachmentId> {
    let (pairs, rest) = file.as_bytes().as_chunks::<2>();
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(AttachmentId::from_bytes(bytes))
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_no_other_is() {
        let id = AttachmentId::of(b"content");
        assert_eq!(id_of(&hex(id)), Some(id));
        assert_eq!(id_of(&hex(id).to_uppercase()), None);
        assert_eq!(id_of(&format!("{}.manifest", hex(id))), None);
        assert_eq!(id_of(&hex(id)[..62]), None);
        for file in ["", "..", "LOCK", "é"] {
            assert_eq!(id_of(file), None);
        }
    }

    #[test]
    fn t44_a_path_is_two_plain_names() {
        for name in Name::all_of(AttachmentId::from_bytes([0x2E; 32]))
            .into_iter()
            .chain([Name::Upload(7)])
        {
            let path = name.path();
            assert_eq!(path.components().count(), 2, "{path:?}");
            let plain =
                |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
            assert!(path.components().all(plain), "{path:?}");
        }
    }
}
