export const planted = 'libs/shared imports a service'
export * from '../../../services/collector/src/index.ts'
