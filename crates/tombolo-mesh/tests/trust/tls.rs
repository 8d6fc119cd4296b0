//! The first words of TLS, put together by hand, for versions and suites that no
//! library speaks any more.

/// What a client says first.
pub(crate) struct ClientHello {
    /// The version of the record, and the one that old peers read.
    pub(crate) legacy: u16,
    pub(crate) suites: Vec<u16>,
    /// The versions of the extension for them; none without it.
    pub(crate) versions: Vec<u16>,
}

impl ClientHello {
    pub(crate) fn record(&self) -> Vec<u8> {
        let mut body = self.legacy.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        let suites: Vec<u8> = self
            .suites
            .iter()
            .flat_map(|one| one.to_be_bytes())
            .collect();
        body.extend(short(suites.len()));
        body.extend(suites);
        body.extend([1, 0]);
        let extensions = self.extensions();
        body.extend(short(extensions.len()));
        body.extend(extensions);
        let mut message = vec![1, 0];
        message.extend(short(body.len()));
        message.extend(body);
        record(&message)
    }

    fn extensions(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        if !self.versions.is_empty() {
            let versions = self.versions.iter().flat_map(|one| one.to_be_bytes());
            let versions: Vec<u8> = versions.collect();
            let mut list = vec![u8::try_from(versions.len()).unwrap()];
            list.extend(versions);
            put(&mut extensions, 43, &list);
        }
        // secp256r1, and ecdsa_secp256r1_sha256.
        put(&mut extensions, 10, &[0, 2, 0, 23]);
        put(&mut extensions, 13, &[0, 2, 4, 3]);
        let mut shares = vec![0, 69, 0, 23, 0, 65, 4];
        shares.extend([9; 64]);
        put(&mut extensions, 51, &shares);
        extensions
    }
}

fn put(extensions: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    extensions.extend(kind.to_be_bytes());
    extensions.extend(short(bytes.len()));
    extensions.extend(bytes);
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

fn record(message: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 1];
    record.extend(short(message.len()));
    record.extend(message);
    record
}

/// What a server of TLS 1.2 answers that knows 1.3: its random ends in the mark
/// that it was made to speak the older one.
pub(crate) fn downgraded_server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 24]);
    body.extend(b"DOWNGRD\x01");
    body.push(0);
    // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, without compression.
    body.extend([0xc0, 0x2b, 0, 0, 0]);
    let mut message = vec![2, 0];
    message.extend(short(body.len()));
    message.extend(body);
    record(&message)
}
