import type { RequestLike } from './request.ts'

/** What may be left out, or be undefined. */
type Optional<T> = { readonly [Name in keyof T]?: T[Name] | undefined }

/** Fields of every hit, in the words of POST /v1/hits (docs/reference/http-api.md). */
export type CommonFields = Optional<{
  /** Id of the site; the client's if left out. */
  site: string
  /** UUID, made by the SDK if left out. The same id again within an hour counts once. */
  hit_id: string
  /** When it happened: now if left out. A number is epoch milliseconds. */
  created_at: number | Date
  title: string
  /** Route pattern of the page, such as `/users/:id`. */
  route: string
  /** URL of the page before. */
  referrer: string
  /** At most 20. */
  tags: Readonly<Record<string, string>>
  /** BCP 47. */
  language: string
  /** CSS pixels. */
  screen_width: number
  screen_height: number
  viewport_width: number
  pixel_ratio: number
  /** Address of the visitor. This and what follows needs a key. */
  ip: string
  user_agent: string
  /** Request headers of the visitor. Those that the service does not keep are left out, cookies among them. */
  headers: Readonly<Record<string, string>>
  /** HTTP method, status and duration of the measured request. */
  method: string
  status: number
  request_ms: number
  /** Your own opaque id of the visitor, where the site allows it. */
  user: string
}>

/** A page by its address, or by the request for it. */
export type Page =
  | { readonly url: string; readonly request?: RequestLike | undefined }
  | { readonly url?: string | undefined; readonly request: RequestLike }

/** A page view. */
export type PageViewFields = CommonFields & Page

/** A custom event. */
export type EventFields = CommonFields &
  Page &
  Optional<{
    /** Money, in units of `currency`. */
    value: number
    /** ISO 4217. */
    currency: string
    duration_ms: number
    /** false: the event never ends a bounce. */
    interactive: boolean
    /** At most 30. */
    props: Readonly<Record<string, string | number | boolean>>
  }>

/** Time in view and scroll depth of a page view, totals so far. */
export type EngagementFields = CommonFields &
  Optional<{ url: string; request: RequestLike; engaged_ms: number; scroll_percent: number }>

/** A hit of any type, for `batch`. */
export type HitFields =
  | (PageViewFields & { readonly type?: 'page_view' | undefined })
  | (EventFields & { readonly type: 'event'; readonly name: string })
  | (EngagementFields & { readonly type: 'engagement'; readonly page_id: string })

/** A hit as the SDK sends it. */
export type SentHit = { readonly hit_id: string; readonly created_at: number; readonly sender: string } & (
  | (Fields<PageViewFields> & { readonly type: 'page_view' })
  | (Fields<EventFields> & { readonly type: 'event'; readonly name: string })
  | (Fields<EngagementFields> & { readonly type: 'engagement'; readonly page_id: string })
)
type Fields<T> = Omit<T, 'request' | 'hit_id' | 'created_at' | 'url'> & { readonly url?: string }
