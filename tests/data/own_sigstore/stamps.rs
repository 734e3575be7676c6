//! An authority that stamps times (RFC 3161).

use rcgen::{
    Certificate, CertifiedIssuer, ExtendedKeyUsagePurpose, KeyPair, SerialNumber, SigningKey as _,
};

use super::der::{der, first, inner};
use super::{authority, named, sha256};

/// An authority that stamps times.
pub(super) struct Stamps {
    pub(super) root: CertifiedIssuer<'static, KeyPair>,
    pub(super) leaf: Certificate,
    key: KeyPair,
}

impl Stamps {
    /// Of an organisation.
    pub(super) fn new(organisation: &str) -> Self {
        let root = authority(organisation, "TSA Root");
        let key = KeyPair::generate().unwrap();
        let mut params = named(organisation, "TSA Timestamping");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        params.serial_number = Some(SerialNumber::from_slice(&[9; 16]));
        let leaf = params.signed_by(&key, &root).unwrap();
        Self { root, leaf, key }
    }

    /// A time stamp of a signature (RFC 3161, section 2.4.2; RFC 5652, section 5).
    pub(super) fn stamp(&self, signature: &[u8], time: i64) -> Vec<u8> {
        const SHA: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
        const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
        const TST_INFO: [u8; 11] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 4];
        const CONTENT_TYPE: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
        const MESSAGE_DIGEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
        const ECDSA_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        const POLICY: [u8; 3] = [0x2a, 3, 4];
        let oid = |oid: &[u8]| der(0x06, &[oid]);
        let sha = der(0x30, &[&oid(&SHA)]);
        let number = |number: u8| der(0x02, &[&[number]]);
        let imprint = der(0x30, &[&sha, &der(0x04, &[&sha256(signature)])]);
        let time = jiff::Timestamp::from_second(time).unwrap();
        let time = time.strftime("%Y%m%d%H%M%SZ").to_string();
        let info = der(
            0x30,
            &[
                &number(1),
                &oid(&POLICY),
                &imprint,
                &number(5),
                &der(0x18, &[time.as_bytes()]),
            ],
        );
        let attribute = |kind: &[u8], value: &[u8]| der(0x30, &[&oid(kind), &der(0x31, &[value])]);
        let attributes = [
            attribute(&CONTENT_TYPE, &oid(&TST_INFO)),
            attribute(&MESSAGE_DIGEST, &der(0x04, &[&sha256(&info)])),
        ]
        .concat();
        let by_key = self.key.sign(&der(0x31, &[&attributes])).unwrap();
        // The issuer stands in the certificate behind version, serial and algorithm.
        let mut rest = inner(first(inner(self.leaf.der())));
        for _ in 0..3 {
            rest = &rest[first(rest).len()..];
        }
        let issuer = first(rest);
        let signer = der(
            0x30,
            &[
                &number(1),
                &der(0x30, &[issuer, &der(0x02, &[&[9; 16]])]),
                &sha,
                &der(0xa0, &[&attributes]),
                &der(0x30, &[&oid(&ECDSA_SHA256)]),
                &der(0x04, &[&by_key]),
            ],
        );
        let content = der(
            0x30,
            &[&oid(&TST_INFO), &der(0xa0, &[&der(0x04, &[&info])])],
        );
        let data = der(
            0x30,
            &[
                &number(3),
                &der(0x31, &[&sha]),
                &content,
                &der(0x31, &[&signer]),
            ],
        );
        let token = der(0x30, &[&oid(&SIGNED_DATA), &der(0xa0, &[&data])]);
        der(0x30, &[&der(0x30, &[&number(0)]), &token])
    }
}
