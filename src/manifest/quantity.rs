//! Quantities of resources, compared: what a pod asks and what a node has.
//!
//! The grammar is that of `k8s.io/apimachinery/pkg/api/resource`. What cannot
//! be read is left out, and nothing is concluded from what is left out.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Resource to amount, in thousandths of its unit.
pub type Amounts = BTreeMap<String, i128>;

/// A quantity in thousandths: `500m`, `2`, `1.5Gi`, `1e3`.
pub fn milli(text: &str) -> Option<i128> {
    let end = text
        .find(|character: char| {
            !(character.is_ascii_digit() || matches!(character, '.' | '-' | '+'))
        })
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (numerator, denominator): (i128, i128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1_000),
        "m" => (1, 1),
        "" => (1_000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000_000, 1),
        "Ki" => (1_000 << 10, 1),
        "Mi" => (1_000 << 20, 1),
        "Gi" => (1_000 << 30, 1),
        "Ti" => (1_000 << 40, 1),
        "Pi" => (1_000 << 50, 1),
        "Ei" => (1_000 << 60, 1),
        exponent => {
            let power: u32 = exponent
                .strip_prefix(['e', 'E'])?
                .parse()
                .ok()
                .filter(|power| *power <= 18)?;
            (1_000 * 10_i128.checked_pow(power)?, 1)
        }
    };
    let fraction = &fraction[..fraction.len().min(9)];
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some(digits.checked_mul(numerator)? / denominator / scale)
}

/// The readable ones of a map of quantities.
pub fn amounts(map: &BTreeMap<String, Quantity>) -> Amounts {
    map.iter()
        .filter_map(|(name, quantity)| Some((name.clone(), milli(&quantity.0)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::milli;

    #[test]
    fn quantities_are_read_in_thousandths() {
        for (text, read) in [
            ("500m", Some(500)),
            ("2", Some(2_000)),
            ("1.5", Some(1_500)),
            ("1Ki", Some(1_024_000)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("1e3", Some(1_000_000)),
            ("100n", Some(0)),
            ("", None),
            ("x", None),
            ("1e999", None),
            ("ü", None),
        ] {
            assert_eq!(milli(text), read, "{text}");
        }
    }
}
