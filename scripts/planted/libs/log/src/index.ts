import '../../shared/src/other.ts'
import 'chdb'
export const log = 1
