//! The render with the requested images that is most likely needed in the end, made
//! before that is known.
//!
//! It saves time and decides nothing: the manifest is given only for the very overrides
//! that were proven to be right.

use std::collections::BTreeMap;

use serde_json::Value;

use super::layout::joined;
use super::model::{ImageLocation, Want};
use super::render::Render;
use crate::signal::ImageKey;

/// A render, and the overrides that it is of.
pub(super) struct Likeliest {
    overrides: Value,
    manifest: String,
}

impl Likeliest {
    /// Renders with the requested images at the places of these names, each in its likeliest
    /// layout; none where two of them clash or the chart does not take them so.
    pub(super) async fn render<R: Render>(
        wants: &[Want],
        by_name: &BTreeMap<&ImageKey, Vec<ImageLocation>>,
        render: &R,
    ) -> Option<Self> {
        let layouts = wants.iter().flat_map(|want| {
            let first = by_name[&want.key].iter();
            let first = first.filter_map(|location| location.layouts.first());
            first.map(|layout| (layout, &want.image))
        });
        let overrides = joined(layouts).ok()?;
        let manifest = render.render(&overrides).await.ok()?;
        Some(Self {
            overrides,
            manifest,
        })
    }

    /// The manifest, where it is that of `overrides`.
    pub(super) fn of(self, overrides: &Value) -> Option<String> {
        (self.overrides == *overrides).then_some(self.manifest)
    }
}
