pub const ROLES: &[(&str, super::common::Role)] = &[];
