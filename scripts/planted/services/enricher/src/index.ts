export const enricher = 1
