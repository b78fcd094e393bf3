//! Sigmoid and tanh as a ratio of polynomials: absolute error at most 5e-7, no library call, the same bits for a number
//! wherever it stands in a slice.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::lane::mul_add;

/// Beyond this, tanh is ±1 within the error that is allowed; the ratio is fitted up to here.
const LIMIT: f32 = 7.905_311;

/// tanh by the minimax ratio of odd degree 13 over even degree 6 that Eigen and XLA use.
#[inline(always)]
pub(super) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-LIMIT, LIMIT);
    let square = x * x;
    let mut above = -2.760_768_5e-16_f32;
    for coefficient in [2.000_188e-13, -8.604_672e-11, 5.122_297_1e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3] {
        above = mul_add::<FMA>(above, square, coefficient);
    }
    let mut below = 1.198_258_4e-6_f32;
    for coefficient in [1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3] {
        below = mul_add::<FMA>(below, square, coefficient);
    }
    x * above / below
}

/// 1 / (1 + exp(-x)), by way of tanh.
#[inline(always)]
pub(super) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    mul_add::<FMA>(0.5, tanh::<FMA>(0.5 * x), 0.5)
}

/// Replaces each number by its hyperbolic tangent. NaN stays NaN.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
pub fn tanh_in_place(values: &mut [f32]) {
    for value in values {
        *value = if target_cfg_f!(target_feature = "fma") { tanh::<true>(*value) } else { tanh::<false>(*value) };
    }
}

/// Replaces each number by its logistic sigmoid. NaN stays NaN.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
pub fn sigmoid_in_place(values: &mut [f32]) {
    for value in values {
        *value = if target_cfg_f!(target_feature = "fma") { sigmoid::<true>(*value) } else { sigmoid::<false>(*value) };
    }
}

/// Whether this processor's products are fused: models trained where it is true and where it is false differ in bits.
#[rustversion::attr(since(1.89), multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma")))]
#[rustversion::attr(before(1.89), multiversion(targets("x86_64+avx2+fma")))]
#[must_use]
pub fn fused() -> bool {
    target_cfg_f!(target_feature = "fma")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<f32> {
        (-1_200_000_i32..=1_200_000).map(|at| at as f32 * 1e-5).collect()
    }

    #[test]
    fn errors_are_at_most_5e_7() {
        let (mut tanhs, mut sigmoids) = (grid(), grid());
        tanh_in_place(&mut tanhs);
        sigmoid_in_place(&mut sigmoids);
        let (mut worst_tanh, mut worst_sigmoid) = (0.0_f64, 0.0_f64);
        for ((x, tanh), sigmoid) in grid().into_iter().map(f64::from).zip(tanhs).zip(sigmoids) {
            worst_tanh = worst_tanh.max((x.tanh() - f64::from(tanh)).abs());
            worst_sigmoid = worst_sigmoid.max((1.0 / (1.0 + (-x).exp()) - f64::from(sigmoid)).abs());
            assert!((-1.0..=1.0).contains(&tanh) && (0.0..=1.0).contains(&sigmoid), "{x}: {tanh} {sigmoid}");
        }
        println!("tanh {worst_tanh:.2e}, sigmoid {worst_sigmoid:.2e}");
        assert!(worst_tanh <= 5e-7, "{worst_tanh}");
        assert!(worst_sigmoid <= 5e-7, "{worst_sigmoid}");
    }

    #[test]
    fn a_number_has_the_same_bits_at_every_length_and_offset() {
        let values: Vec<f32> = (0..97).map(|at| (at as f32 - 48.0) * 0.173).collect();
        for function in [tanh_in_place, sigmoid_in_place] {
            let mut alone = values.clone();
            for value in &mut alone {
                function(std::slice::from_mut(value));
            }
            for start in 0..40 {
                for end in start..=97 {
                    let mut part = values.clone();
                    function(&mut part[start..end]);
                    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&part[start..end]), bits(&alone[start..end]));
                }
            }
        }
    }

    #[test]
    fn infinities_saturate_and_nan_stays() {
        let mut values = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        tanh_in_place(&mut values);
        assert!((values[0] - 1.0).abs() < 5e-7 && (values[1] + 1.0).abs() < 5e-7 && values[2].is_nan());
    }
}
