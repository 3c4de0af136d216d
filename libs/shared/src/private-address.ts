/** 0/8, 10/8, 100.64/10, 127/8, 169.254/16, 172.16/12, 192.168/16, ::, ::1, fc00::/7, fe80::/10. As a pattern: it runs for every hit. */
const PRIVATE =
  /^(?:(?:0|10|127)\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.168\.|::1?$|f[cd][\da-f]{2}:|fe[89ab][\da-f]:)/

/**
 * Whether a normalised address is of a network that is not the internet: private, loopback, link-local, shared by a carrier
 * (RFC 1122, 1918, 3927, 4193, 4291, 6598).
 */
export const isPrivate = (address: string): boolean => PRIVATE.test(address)
