import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cleanReferrer } from './referrer.ts'

describe('cleanReferrer', () => {
  it.each([
    ['https://news.example/', 'https://news.example/', 'news.example'],
    ['https://news.example', 'https://news.example/', 'news.example'],
    ['https://news.example/item?id=4&email=a@b.c#x', 'https://news.example/item', 'news.example'],
    ['https://me:secret@news.example/', 'https://news.example/', 'news.example'],
    ['http://News.example:8080/a', 'http://news.example:8080/a', 'news.example'],
    ['android-app://com.google.android.gm/', 'android-app://com.google.android.gm/', 'com.google.android.gm'],
    ['android-app://com.Slack', 'android-app://com.Slack', 'com.Slack'],
    ['ios-app://544007664/youtube', 'ios-app://544007664/youtube', '544007664'],
    ['chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb/', '', ''],
    ['moz-extension://0b7c/', '', ''],
    ['file:///C:/mail.html', '', ''],
    ['ftp://files.example/', '', ''],
    ['javascript:alert(1)', '', ''],
    ['about:blank', '', ''],
    ['nonsense', '', ''],
    ['', '', ''],
    [`https://${'a'.repeat(300)}.example/`, '', ''],
    [undefined, '', ''],
    [{}, '', ''],
  ])('makes of %j', (referrer, url, hostname) => {
    expect(cleanReferrer(referrer)).toEqual({ url, hostname, isApp: url.startsWith('android-app:') })
  })

  it('always gives an url with the same host', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl({ withQueryParameters: true }), fc.string()), (text) => {
        const { url, hostname } = cleanReferrer(text)
        expect(url === '' ? '' : new URL(url).hostname).toBe(hostname)
        expect(url).not.toMatch(/[?#]/)
      }),
    )
  })
})
