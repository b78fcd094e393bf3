//! Differences by row and horizon.

/// Differences over many steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// The largest, and where.
    pub most: f64,
    pub step: usize,
    squares: f64,
    count: f64,
}

impl Spread {
    pub fn add(&mut self, step: usize, said: &[f64], other: &[f64], unit: f64) {
        assert_eq!(said.len(), other.len());
        for (a, b) in said.iter().zip(other) {
            let difference = (a - b).abs() / unit;
            let difference = if difference.is_nan() { f64::INFINITY } else { difference };
            if difference > self.most {
                (self.most, self.step) = (difference, step);
            }
            self.squares += difference * difference;
            self.count += 1.0;
        }
    }

    pub fn rms(&self) -> f64 {
        assert!(self.count > 0.0, "nothing was compared");
        (self.squares / self.count).sqrt()
    }
}

/// Rows in the order of their first appearance; a column for each horizon.
#[derive(Default)]
pub struct Table(Vec<(String, Vec<Spread>)>);

impl Table {
    pub fn add(&mut self, name: &str, spread: Spread) {
        if self.0.iter().all(|(known, _)| known != name) {
            self.0.push((name.to_owned(), Vec::new()));
        }
        self.0.iter_mut().find(|(known, _)| known == name).unwrap().1.push(spread);
    }

    pub fn print(&self, title: &str, horizons: &[usize]) {
        let columns =
            |texts: &mut dyn Iterator<Item = String>| texts.map(|text| format!("{text:>8}")).collect::<String>();
        let heads = columns(&mut horizons.iter().map(ToString::to_string));
        println!("\n{title}\n{:<28}{heads} |{heads}", "largest | root mean square");
        for (name, spreads) in &self.0 {
            let most = columns(&mut spreads.iter().map(|spread| format!("{:.1e}", spread.most)));
            let rms = columns(&mut spreads.iter().map(|spread| format!("{:.1e}", spread.rms())));
            println!("{name:<28}{most} |{rms}");
        }
    }

    /// Rows whose largest difference, at any horizon, exceeds `limit`.
    pub fn beyond(&self, limit: f64) -> Vec<String> {
        let far = |spreads: &Vec<Spread>| spreads.iter().any(|spread| spread.most > limit);
        let told = |(name, spreads): &(String, Vec<Spread>)| format!("{name}: {spreads:?}");
        self.0.iter().filter(|(_, spreads)| far(spreads)).map(told).collect()
    }

    /// Rows whose root mean square, at any horizon, exceeds the first of the limits for names that begin so.
    pub fn wide(&self, limits: &[(&str, f64)]) -> Vec<String> {
        let limit = |name: &str| limits.iter().find(|(start, _)| name.starts_with(start)).map(|(_, limit)| *limit);
        let is_wide = |name: &str, spreads: &[Spread]| {
            let limit = limit(name).unwrap_or_else(|| panic!("no limit for {name}"));
            spreads.iter().any(|spread| spread.rms() > limit)
        };
        self.0.iter().filter(|(name, spreads)| is_wide(name, spreads)).map(|(name, _)| name.clone()).collect()
    }
}
