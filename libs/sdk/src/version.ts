/** Version of this package: what hits name as their `sender`, and requests as their user agent. A test holds it to package.json. */
export const VERSION = '0.1.0'
