//! Medians and extremes of a few figures.

/// The middle one, or the mean of the two in the middle; none of none. What is no number is left out.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.into_iter().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(sorted[middle - 1].midpoint(sorted[middle])),
    }
}

/// The largest; none of none.
pub(super) fn most(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    figures.into_iter().filter(|x| x.is_finite()).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_none_there_is_none() {
        assert_eq!(median([]), None);
        assert_eq!(most([f64::NAN]), None);
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0, f64::NAN]), Some(2.5));
        assert_eq!(most([1.0, 7.0, 2.0]), Some(7.0));
    }
}
