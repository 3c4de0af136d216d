import '../../server/src/index.ts'
export const config = 1
