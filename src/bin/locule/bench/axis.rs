//! The axes of plots: from where to where, where marks are, and what is written at them.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// One axis.
pub struct Axis {
    from: f64,
    to: f64,
    /// Each power of ten is as wide as every other.
    is_logarithmic: bool,
    marks: Vec<f64>,
    /// Where there is a line behind the data, but nothing is written.
    fine_marks: Vec<f64>,
    label: fn(f64) -> String,
}

impl Axis {
    /// From 0 to a number, with about so many marks at round ones.
    pub fn up_to(end: f64, mark_count: u32, label: fn(f64) -> String) -> Axis {
        let marks = round_numbers(end, mark_count).into_iter().filter(|mark| *mark <= end).collect();
        Axis { from: 0.0, to: end.max(f64::MIN_POSITIVE), is_logarithmic: false, marks, fine_marks: Vec::new(), label }
    }

    /// From 0 to the next mark that is not below a number.
    pub fn beyond(maximum: f64, mark_count: u32, label: fn(f64) -> String) -> Axis {
        let marks = round_numbers(maximum, mark_count);
        let to = marks.last().copied().unwrap_or(1.0);
        Axis { from: 0.0, to, is_logarithmic: false, marks, fine_marks: Vec::new(), label }
    }

    /// Whole powers of ten, from one that is not above the least number to one that is not below the greatest.
    pub fn logarithmic(least: f64, greatest: f64, label: fn(f64) -> String) -> Axis {
        let first = least.max(1.0).log10().floor();
        let last = greatest.max(1.0).log10().ceil().max(first + 1.0);
        let decades = (0..=40).map(|step| first + f64::from(step)).take_while(|exponent| *exponent <= last);
        let marks: Vec<f64> = decades.map(|exponent| 10f64.powf(exponent)).collect();
        let (from, to) = (10f64.powf(first), 10f64.powf(last));
        let between = marks.iter().flat_map(|mark| (2..10).map(move |times| mark * f64::from(times)));
        let fine_marks = between.filter(|mark| *mark < to).collect();
        Axis { from, to, is_logarithmic: true, marks, fine_marks, label }
    }

    /// Shares, as how many nines they have: 99 % is 2. From one mark to the next, the rest is ten times smaller.
    pub fn of_nines(end: f64) -> Axis {
        // Between the first two there is room for one more if the axis is not long.
        let middle = (end < 5.5).then_some(2f64.log10());
        let marks = (0..=20).map(f64::from).take_while(|mark| *mark <= end).chain(middle).collect();
        Axis { from: 0.0, to: end, is_logarithmic: false, marks, fine_marks: Vec::new(), label: share }
    }

    pub fn end(&self) -> f64 {
        self.to
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let place = |number: f64| if self.is_logarithmic { number.max(self.from).log10() } else { number };
        let part = (place(*value) - place(self.from)) / (place(self.to) - place(self.from));
        low + (part * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { self.fine_marks.clone() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        (self.label)(*value)
    }
}

/// Round numbers from 0 to one that is not below the maximum, about so many.
fn round_numbers(maximum: f64, count: u32) -> Vec<f64> {
    if !(maximum.is_finite() && maximum > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = maximum / f64::from(count);
    let unit = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let mark_count = (maximum / step).ceil() as u32;
    (0..=mark_count).map(|mark| f64::from(mark) * step).collect()
}

/// 2 nines are 99 %.
fn share(nines: f64) -> String {
    let percent = 100.0 * (1.0 - 10f64.powf(-nines));
    let decimals = if nines > 2.5 { nines.round() as usize - 2 } else { 0 };
    format!("{percent:.decimals$} %")
}

/// A number as it is, without the noise behind many digits.
pub fn plain(number: f64) -> String {
    ((number * 1e6).round() / 1e6).to_string()
}

/// A large number in a few characters.
pub fn short(number: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let (size, unit) = units.into_iter().find(|(size, _)| number >= *size).unwrap_or((1.0, ""));
    format!("{}{unit}", plain(number / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_reach_beyond_the_maximum() {
        assert_eq!(round_numbers(1_430_000.0, 5), [0.0, 500_000.0, 1_000_000.0, 1_500_000.0]);
        assert_eq!(round_numbers(50.0, 5), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        for senseless in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(round_numbers(senseless, 5), [0.0, 1.0]);
        }
    }

    #[test]
    fn a_logarithmic_axis_gives_each_power_of_ten_the_same_width() {
        let axis = Axis::logarithmic(150.0, 2e6, plain);
        assert_eq!((axis.range(), axis.marks.len(), axis.fine_marks.len()), (100.0..1e7, 6, 40));
        let places = [100.0, 1e3, 1e4, 1e7, 0.0].map(|number| axis.map(&number, (0, 500)));
        assert_eq!(places, [0, 100, 200, 500, 0]);
        assert_eq!(Axis::logarithmic(0.0, 0.0, plain).range(), 1.0..10.0);
    }

    #[test]
    fn labels_are_short() {
        let axis = Axis::of_nines(5.2);
        let labels: Vec<String> = axis.marks.iter().map(|mark| axis.format_ext(mark)).collect();
        assert_eq!(labels, ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "50 %"]);
        assert_eq!([0.0, 500.0, 1_500.0, 2e6, 0.1 + 0.2].map(short), ["0", "500", "1.5 k", "2 M", "0.3"]);
    }
}
