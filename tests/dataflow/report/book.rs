//! A report's figures as the books define them, computed slowly from the cases.

use super::Case;
use serde_json::Value;

/// The same figures by the book, with everything in memory.
pub fn assert_by_the_book(found: &Value, cases: &[Case], steps: usize) {
    let scored: Vec<(usize, &Case)> = cases.iter().enumerate().filter(|(_, case)| !case.void).collect();
    let n = scored.len() as f64;
    let sum = |of: &dyn Fn(&Case) -> f64| scored.iter().map(|(_, case)| of(case)).sum::<f64>();
    let error = |c: &Case| (c.price - c.actual).abs();
    let naive = |c: &Case| (c.last - c.actual).abs();
    let r2 = 1.0 - sum(&|c| error(c).powi(2)) / sum(&|c| naive(c).powi(2));
    let differs = |c: &Case| c.price != c.last;
    let directed: Vec<&Case> = scored.iter().map(|s| s.1).filter(|c| differs(c) && c.actual != c.last).collect();
    let right = directed.iter().filter(|c| (c.price - c.last) * (c.actual - c.last) > 0.0).count();
    let trades = scored.iter().filter(|(_, c)| differs(c)).count();
    let gain = sum(&|c| if differs(c) { (c.price - c.last).signum() * (c.actual / c.last - 1.0) * 1e4 } else { 0.0 });
    let covered = |c: &Case| f64::from(u8::from(error(c) <= c.half_width));
    let lag = (4 * steps - 1).max(30);
    let differences: Vec<f64> = scored.iter().map(|(_, c)| (naive(c) - error(c)) / c.last * 1e4).collect();
    let expected = [
        ("/scored", n),
        ("/void", cases.len() as f64 - n),
        ("/warming", 16.0),
        ("/mae_ratio", sum(&error) / sum(&naive)),
        ("/mae_bps", sum(&|c| error(c) / c.last * 1e4) / n),
        ("/naive_mae_bps", sum(&|c| naive(c) / c.last * 1e4) / n),
        ("/r2", r2),
        ("/rmse_ratio", (1.0 - r2).sqrt()),
        ("/direction", right as f64 / directed.len() as f64),
        ("/directed", directed.len() as f64),
        ("/break_even/bps", gain / trades as f64),
        ("/break_even/trades", trades as f64),
        ("/coverage", sum(&covered) / n),
        ("/width_bps", sum(&|c| 2.0 * c.half_width / c.last * 1e4) / n),
        ("/calibration/1/observed", sum(&|c| f64::from(u8::from(c.actual <= c.price - 0.4 * c.half_width))) / n),
        ("/e_value", cases.len() as f64),
        ("/diebold_mariano/lag", lag as f64),
        ("/diebold_mariano/t", diebold_mariano(&differences, lag)),
    ];
    for (path, expected) in expected {
        let value = found.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {found}"));
        assert!((value - expected).abs() <= 1e-8 * expected.abs().max(1.0), "{path}: {value}, by the book {expected}");
    }
    assert_terciles(found, cases);
    let in_bins: u64 = found["over_time"].as_array().unwrap().iter().map(|bin| bin["count"].as_u64().unwrap()).sum();
    assert_eq!(in_bins as f64, n, "over time");
    assert_days(found, &scored.iter().map(|(n, c)| ((*n / 1440), covered(c))).collect::<Vec<_>>());
}

fn diebold_mariano(values: &[f64], lag: usize) -> f64 {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let gamma = |k: usize| (k..n).map(|t| (values[t] - mean) * (values[t - k] - mean)).sum::<f64>() / n as f64;
    let weighted: f64 = (1..=lag).map(|k| 2.0 * (1.0 - k as f64 / (lag + 1) as f64) * gamma(k)).sum();
    mean / ((gamma(0) + weighted) / n as f64).sqrt()
}

/// Splits by the published edges, with volatilities of its own, and counts.
fn assert_terciles(found: &Value, cases: &[Case]) {
    let keep = 0.5_f64.powf(1.0 / 60.0);
    let volatility = |n: usize| {
        let (mut sum, mut weight) = (0.0, 0.0);
        for t in 1..=n {
            sum = keep * sum + (1.0 - keep) * (cases[t].last / cases[t - 1].last).ln().powi(2);
            weight = keep * weight + (1.0 - keep);
        }
        (sum / weight).sqrt() * 1e4
    };
    let terciles = found["terciles"].as_array().unwrap();
    assert_eq!(terciles.len(), 3);
    let edge = |at: usize| terciles[at]["volatility_bps_max"].as_f64().unwrap();
    let mut counts = [(0_u64, 0.0); 3];
    for (n, case) in cases.iter().enumerate().skip(1).filter(|(_, case)| !case.void) {
        let v = volatility(n);
        let place = if v <= edge(0) { 0 } else { usize::from(v > edge(1)) + 1 };
        counts[place].0 += 1;
        counts[place].1 += f64::from(u8::from((case.price - case.actual).abs() <= case.half_width));
    }
    let total: u64 = counts.iter().map(|count| count.0).sum();
    for (tercile, (count, covered)) in terciles.iter().zip(counts) {
        assert_eq!(tercile["count"], count, "{tercile}");
        assert!((tercile["coverage"].as_f64().unwrap() - covered / count as f64).abs() < 1e-12, "{tercile}");
        assert!(count.abs_diff(total / 3) < total / 8, "about a third: {count} of {total}");
    }
}

fn assert_days(found: &Value, covered: &[(usize, f64)]) {
    let mut shares: Vec<f64> = Vec::new();
    for day in 0..=covered.last().unwrap().0 {
        let of: Vec<f64> = covered.iter().filter(|(d, _)| *d == day).map(|c| c.1).collect();
        if of.len() >= 20 {
            shares.push(of.iter().sum::<f64>() / of.len() as f64);
        }
    }
    shares.sort_by(f64::total_cmp);
    assert_eq!(found["days"]["count"], shares.len());
    assert_eq!(found["days"]["worst"].as_f64().unwrap(), shares[0]);
}
