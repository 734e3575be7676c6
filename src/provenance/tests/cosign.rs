//! What cosign itself wrote.

use super::{Candidate, Refusal, digest, judge};
use crate::plan::Verify;

/// What cosign 3.1.3 wrote with a key that was made for this and thrown away, in both
/// of its formats: `cosign sign --key`, without any log.
#[test]
fn what_cosign_writes_is_taken() {
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE52kyzuDParzkd1WwcMn17nxU4wBC\nkNWPlNs7bSC8S21Na+Uec7VUEjAQBs0+MSmHBvHC1LcJGpYk4XaDjeOo/g==\n-----END PUBLIC KEY-----\n";
    let policy = Verify::Key(key.parse().unwrap());
    let signed = "sha256:418c30b6638cf7fbd7f8851059845330db9053d7b6b20a2b31259e37fe39a801";
    let bundle = include_bytes!("../../../tests/data/cosign/bundle.json").to_vec();
    let simple = Candidate::Simple {
        payload: include_bytes!("../../../tests/data/cosign/simple.json").to_vec(),
        signature: "MEYCIQDXqg4mfwSu1oEepLYSO39YjzNIz0DYBJYEFxS1lflxbgIhAKYlMAx34Yrf1pr1F7V0fbfNlip3+F/SXPdTHGkh9j/B".into(),
    };
    for candidate in [Candidate::Bundle(bundle), simple] {
        let verdict = judge(
            &policy,
            &signed.parse().unwrap(),
            std::slice::from_ref(&candidate),
        );
        assert_eq!(verdict.unwrap().by, "key sha256:9062a404724607cb");
        let other = judge(&policy, &digest('a'), &[candidate]).unwrap_err();
        assert_eq!(other, [Refusal::OtherArtifact(signed.into())]);
    }
}
