//! How this process computes floating-point numbers: where two differ, forecasts differ in their last digits.

/// Raised with each change of the model's code that changes a digit of a forecast.
pub const NUMERICS_VERSION: u32 = 1;

/// The version of the model's code, the kind of processor, and whether multiplications and additions are fused, as
/// `1 x86_64 fma`.
#[must_use]
pub fn numerics() -> String {
    let fused = if has_fused() { " fma" } else { "" };
    format!("{NUMERICS_VERSION} {}{fused}", std::env::consts::ARCH)
}

/// Whether the kernels that are chosen at run time use fused multiplication and addition.
#[cfg(target_arch = "x86_64")]
fn has_fused() -> bool {
    std::arch::is_x86_feature_detected!("fma") && std::arch::is_x86_feature_detected!("avx2")
}

/// The kernels have no choice.
#[cfg(not(target_arch = "x86_64"))]
const fn has_fused() -> bool {
    false
}
