import '../../../../libs/log/src/index.ts'
export const step = 1
