//! A drill that is known to be right: what the executor carries out.
