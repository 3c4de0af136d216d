import fc from 'fast-check'

// `npm test` draws the same cases each time, so that it fails for what was changed; `npm run fuzz` draws new ones.
fc.configureGlobal({ seed: Number(process.env.PROPERTY_SEED ?? 1) })
