import 'kafkajs'
import '@clickhouse/client'
import '../../enricher/src/index.ts'
export const collector = 1
