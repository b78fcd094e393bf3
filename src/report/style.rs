//! Colours, in light and dark.
//!
//! A picture carries the light ones as plain attributes, so that any viewer shows it; a style sheet overrides them, by
//! their value, where the reader prefers dark.

use plotters::style::RGBColor;
use std::fmt::Write as _;

const fn rgb(hex: u32) -> RGBColor {
    RGBColor((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

pub(super) const PAPER: RGBColor = rgb(0xFF_FF_FF);
pub(super) const TEXT: RGBColor = rgb(0x1F_29_33);
pub(super) const MUTED: RGBColor = rgb(0x5B_66_70);
pub(super) const GRID: RGBColor = rgb(0xE3_E7_EB);
pub(super) const AXIS: RGBColor = rgb(0x9A_A5_B1);
pub(super) const FORECAST: RGBColor = rgb(0x0B_63_C4);
pub(super) const BAND: RGBColor = rgb(0xCF_E1_F7);
pub(super) const NAIVE: RGBColor = rgb(0xC2_4E_0A);
pub(super) const ACTUAL: RGBColor = rgb(0x11_18_27);
pub(super) const GOOD: RGBColor = rgb(0x15_80_3D);
pub(super) const BAD: RGBColor = rgb(0xB9_1C_1C);

/// Light colours and what they become in the dark.
const PAIRS: [(RGBColor, u32); 11] = [
    (PAPER, 0x15_1B_23),
    (TEXT, 0xE6_EA_EE),
    (MUTED, 0xA3_AE_B8),
    (GRID, 0x2A_33_3D),
    (AXIS, 0x5C_68_74),
    (FORECAST, 0x5A_A9_FF),
    (BAND, 0x1D_3A_5C),
    (NAIVE, 0xFF_9A_52),
    (ACTUAL, 0xF2_F4_F6),
    (GOOD, 0x4A_D0_7D),
    (BAD, 0xFF_7B_72),
];

/// The style sheet that turns pictures dark for readers who prefer that.
pub(super) fn dark_pictures() -> String {
    let mut css = String::from("@media (prefers-color-scheme:dark){");
    for (RGBColor(r, g, b), dark) in PAIRS {
        let light = format!("#{r:02X}{g:02X}{b:02X}");
        let _ = write!(css, "svg [fill=\"{light}\"]{{fill:#{dark:06X}}}svg [stroke=\"{light}\"]{{stroke:#{dark:06X}}}");
    }
    css.push('}');
    css
}
